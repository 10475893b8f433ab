# SPDX-License-Identifier: GPL-2.0-or-later
"""One line per FUSE leg says what its servers took."""

from collections.abc import Mapping

from reviewbot.model.artifacts import Fact
from reviewbot.model.figures import ServerFigures
from reviewbot.report import files
from reviewbot.report.figures import server_lines
from tests.report.records import PARENT, TOP, case, judged, leg, results

SMALL = ServerFigures(
    cpu_seconds=1.25,
    pss_kib=30 << 10,
    pss_samples=2,
    mounts=1,
    umounts=1,
    umount_seconds_max=0.8,
    umount_seconds_total=0.8,
    requests={"LOOKUP": 60, "READ": 40},
)
BIG = ServerFigures(
    cpu_seconds=80.0,
    pss_kib=41 << 10,
    pss_samples=9,
    umount_seconds_max=0.1,
    requests={"LOOKUP": 1_199_900, "WRITE": 1},
)


def lines(*figures: ServerFigures | None) -> list[str]:
    tests = [case("fstests", f"generic/{n:03}").model_copy(update={"server": one}) for n, one in enumerate(figures)]
    return server_lines(judged(results(leg("ext4", case("smoke", "mkfs")), leg("fuse4fs", *tests))))


def test_a_leg_with_servers_has_one_line_and_the_kernels_own_none() -> None:
    assert lines(SMALL, None, BIG) == [
        "fuse4fs: servers used 81.2 s of CPU, at most 41.0 MiB each (in generic/002), got 1.2 M requests "
        "(LOOKUP 100 %, READ 0 %, WRITE 0 %), exited at most 0.8 s after umount (in generic/000)"
    ]


def test_what_is_unknown_is_not_said() -> None:
    assert lines(ServerFigures(), None) == []
    assert lines(ServerFigures(cpu_seconds=0.5)) == ["fuse4fs: servers used 0.5 s of CPU"]


def test_a_server_that_did_not_go_is_said() -> None:
    late = SMALL.model_copy(update={"umounts_late": 1, "umount_seconds_max": 60.0})
    assert lines(late)[0].endswith(
        "exited at most 60.0 s after umount (in generic/000), 1 server did not exit within the limit"
    )


def test_the_summary_says_it_and_the_mail_to_an_author_does_not() -> None:
    test = case("fstests", "generic/001").model_copy(update={"server": SMALL})
    reports = files(judged(results(leg("fuse4fs", test))), {TOP: PARENT})
    assert "fuse4fs: servers used 1.25 s of CPU" in str(reports["summary.md"])
    mail = reports["reply.eml"]
    assert isinstance(mail, bytes)
    assert b"of CPU" not in mail


def proven(*requests: dict[str, int], proofs: Mapping[str, Fact] | None = None) -> str:
    """The line of a leg that gave proofs: of iomap."""
    tests = [
        case("fstests", f"generic/{n:03}").model_copy(update={"server": ServerFigures(requests=one)})
        for n, one in enumerate(requests)
    ]
    proofs = proofs or {"iomap_probe": "5 FUSE_IOMAP_BEGIN"}
    (line,) = server_lines(judged(results(leg("fuse4fs-iomap", *tests).model_copy(update={"proofs": proofs}))))
    return line


def test_a_contained_leg_says_with_which_rights_its_server_ran() -> None:
    none: dict[str, Fact] = {"service_uid": 61599, "service_capabilities": "none", "service_seccomp": True}
    some: dict[str, Fact] = {"service_uid": 0, "service_capabilities": "3fff", "service_seccomp": False}
    assert proven({"LOOKUP": 1}, proofs=none).endswith("ran contained: user 61599, no capabilities, seccomp filter")
    assert proven({"LOOKUP": 1}, proofs=some).endswith("ran contained: user 0, capabilities 3fff")


def test_a_leg_by_iomap_says_when_no_data_went_through_its_server() -> None:
    assert proven({"IOMAP_BEGIN": 40}, {"4094": 2, "LOOKUP": 9}).endswith(
        "passed 42 mappings to iomap and transferred no data itself"
    )
    assert "iomap" not in proven({"LOOKUP": 1}).partition(":")[2]


def test_a_leg_by_iomap_says_in_which_tests_data_went_through_its_server_all_the_same() -> None:
    line = proven({"IOMAP_BEGIN": 95}, {"READ": 1}, {"WRITE": 2}, {"READ": 1, "WRITE": 1}, {"WRITE": 5})
    assert line.endswith(
        "passed 95 mappings to iomap and transferred data itself 10 times "
        "(90.5 % by iomap; in generic/004, generic/002, generic/003 and 1 more)"
    )


def test_data_through_the_server_is_no_surprise_in_a_leg_without_iomap() -> None:
    assert "iomap" not in lines(SMALL)[0]
