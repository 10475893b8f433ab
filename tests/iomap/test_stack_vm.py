# SPDX-License-Identifier: GPL-2.0-or-later
"""A posting that really does iomap, through the product: applied, built, booted, proven and compared."""

import pytest

from tests.iomap.conftest import IomapRun

pytestmark = pytest.mark.vm
IO_CHECKS = ("allocate", "punch", "zero", "direct", "mmap", "pages", "sizes", "fsync", "fio", "stress", "fsck")


def test_the_posting_passes_in_every_leg(iomap_run: IomapRun) -> None:
    assert iomap_run.status == 0, iomap_run.output[-3000:]


def test_the_leg_proves_that_data_moved_by_iomap(iomap_run: IomapRun) -> None:
    proofs = iomap_run.leg("fuse4fs-iomap")["proofs"]
    assert (proofs["iomap_warning"], proofs["iomap_flags"], proofs["iomap_extents"] > 0) == (True, 1, True)
    assert proofs["iomap_probe"].endswith(" 0 FUSE_READ, 0 FUSE_WRITE")
    assert not proofs["iomap_probe"].startswith("0 ")
    assert proofs["mount"] == "fuse.ext4 rw"


def test_the_service_is_contained_as_its_unit_demands(iomap_run: IomapRun) -> None:
    proofs = iomap_run.leg("fuse4fs-service")["proofs"]
    assert proofs["service"].startswith("fuse4fs@")
    assert (proofs["service_capabilities"], proofs["service_seccomp"]) == ("none", True)
    assert 61184 <= proofs["service_uid"] <= 65519  # what systemd gives to DynamicUser=
    assert {"user", "mnt", "net"} <= set(proofs["service_namespaces"].split())


def requests(run: IomapRun, leg: str) -> dict[str, int]:
    """Of all tests of a leg."""
    total: dict[str, int] = {}
    for test in run.leg(leg)["tests"]:
        for name, count in ((test["server"] or {}).get("requests") or {}).items():
            total[name] = total.get(name, 0) + count
    return total


def test_no_data_of_the_leg_goes_through_the_server_and_all_of_the_control_does(
    iomap_run: IomapRun,
) -> None:
    by_iomap, control = requests(iomap_run, "fuse4fs-iomap"), requests(iomap_run, "fuse4fs")
    assert not {"READ", "WRITE"} & by_iomap.keys()
    assert all(by_iomap[name] for name in ("IOMAP_CONFIG", "IOMAP_BEGIN", "IOMAP_END", "IOMAP_IOEND"))
    assert control["READ"] and control["WRITE"]
    assert not any(name.startswith("IOMAP_") for name in control)


@pytest.mark.parametrize("check", IO_CHECKS)
def test_checks_of_file_io_pass_on_both_legs_and_stand_beside_ext4(iomap_run: IomapRun, check: str) -> None:
    found = {
        leg["leg"]: test["outcome"]
        for leg in iomap_run.results["legs"]
        for test in leg["tests"]
        if test["test"] == check
    }
    assert found == dict.fromkeys(("ext4", "fuse4fs", "fuse4fs-iomap", "fuse4fs-service"), "PASS")


def test_holes_are_told_by_iomap_only(iomap_run: IomapRun) -> None:
    holes = {
        leg["leg"]: test["outcome"]
        for leg in iomap_run.results["legs"]
        for test in leg["tests"]
        if test["test"] == "holes"
    }
    without = dict.fromkeys(("fuse4fs", "fuse4fs-service"), "NOTRUN")
    assert holes == {"ext4": "PASS", "fuse4fs-iomap": "PASS", **without}


def test_the_summary_says_that_no_data_went_through_the_server(iomap_run: IomapRun) -> None:
    summary = (iomap_run.folder / "summary.md").read_text()
    assert "to iomap and transferred no data itself" in summary
