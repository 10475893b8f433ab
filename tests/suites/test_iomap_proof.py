# SPDX-License-Identifier: GPL-2.0-or-later
"""What a leg that demands iomap has to show in the guest: the guest's own code, with files for what the kernel says."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.guest import MODULES

WARNING = "4,812,9120013,-;fuse: EXPERIMENTAL iomap feature enabled.  Use at your own risk!"
SCRIPT = """
import json, sys
sys.path[:0] = sys.argv[1].split(":")
import iomap
told = json.loads(sys.argv[2])
iomap.KMSG, iomap.SWITCH, iomap.MNT = told["log"], told["switch"], told["mount"]
iomap.offered, iomap.extents = lambda: told["flags"], lambda path: told["extents"]
iomap.device, iomap.RUN = lambda: "/dev/vdc", told["run"]
class Counting(iomap.Counting):
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.asked = told["asked"]
iomap.Counting = Counting
def says(words):
    with open(told["log"], "a") as file:
        file.write(words)
says(told["before"])
iomap.note(iomap.MOUNTING)
says(told["during"])
print(json.dumps([*iomap.prove(), iomap.why_not_mounted()]))
"""


@dataclass(frozen=True)
class Seen:
    """What the kernel and the server show."""

    before: str = ""
    during: str = WARNING
    flags: int | None = 1
    extents: int | None = 1
    asked: Mapping[str, int] | None = field(default_factory=lambda: {"IOMAP_BEGIN": 5, "CREATE": 1})
    server: str = ""
    switch_there: bool = True
    caps: str = "000001ffffffffff"
    status_there: bool = True


def looked(folder: Path, seen: Seen) -> list[Any]:
    """Facts, what is missing, and why a mount would have failed."""
    (folder / "servers").mkdir()
    (folder / "kmsg").write_text("")
    (folder / "servers" / "vdc.pid").write_text("self\n")
    (folder / "server.log").write_text(seen.server)
    if seen.switch_there:
        (folder / "switch").write_text("Y\n")
    told = {
        **asdict(seen),
        "log": str(folder / "kmsg"),
        "switch": str(folder / "switch"),
        "mount": str(folder),
        "run": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, MODULES, json.dumps(told)], capture_output=True, text=True, check=True
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def test_all_signs_are_proof(tmp_path: Path) -> None:
    facts, missing, _ = looked(tmp_path, Seen())
    assert missing == ""
    assert facts == {
        "iomap_warning": True,
        "iomap_flags": 1,
        "iomap_extents": 1,
        "iomap_probe": "5 FUSE_IOMAP_BEGIN, 0 FUSE_READ, 0 FUSE_WRITE",
    }


def test_the_kernels_unfinished_warning_is_read_after_a_line_of_ours(tmp_path: Path) -> None:
    looked(tmp_path, Seen())
    assert f"{WARNING}<6>reviewbot: mounted to see iomap\n" in (tmp_path / "kmsg").read_text()


@pytest.mark.parametrize(
    "seen",
    [
        Seen(flags=None),
        Seen(asked=None),
        Seen(asked={"4094": 9}),
        Seen(switch_there=False),
    ],
    ids=["an older ioctl", "no trace of requests", "no name of the request", "no switch"],
)
def test_what_a_version_of_the_kernel_does_not_have_is_no_sign_against_it(tmp_path: Path, seen: Seen) -> None:
    assert looked(tmp_path, seen)[1] == ""


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        (Seen(during=""), "the server did not ask for it"),
        (Seen(before=f"{WARNING}\n", during=""), "the server did not ask for it"),
        (Seen(during="", flags=0), "the kernel does not offer iomap although it is switched on"),
        (Seen(during="", flags=None, switch_there=False), "some of the patches are missing"),
        (Seen(during="", server="== fuse4fs -f\nfuse4fs: Could not enable iomap.\n"), "`fuse4fs: Could not enable"),
        (Seen(during="", server="\n== a\nCould not enable iomap.\n== b\n"), "the server did not ask for it"),
        (Seen(extents=None, asked={"WRITE": 2, "READ": 1}), "through the server (1 FUSE_READ, 2 FUSE_WRITE)"),
        (Seen(extents=None), "FIEMAP knows no extent of it"),
        (Seen(extents=0), "FIEMAP knows no extent of it"),
        (Seen(asked={"IOMAP_BEGIN": 3, "READ": 1}), "(1 FUSE_READ)"),
        (Seen(asked={"CREATE": 1}), "no FUSE_IOMAP_BEGIN was seen"),
    ],
)
def test_a_missing_sign_is_named(tmp_path: Path, seen: Seen, missing: str) -> None:
    assert missing in looked(tmp_path, seen)[1]


def test_a_configuration_that_the_kernel_refused_explains_a_failed_mount(tmp_path: Path) -> None:
    refused = Seen(during="3,9,9,-;fuse: could not configure iomap, err=-22\n")
    assert looked(tmp_path, refused)[2] == (
        "the kernel refused the server's configuration: `could not configure iomap, err=-22`"
    )
    assert looked(make(tmp_path / "other"), Seen())[2] == ""


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


SWITCH = """
import sys
sys.path[:0] = sys.argv[1].split(":")
import iomap
iomap.SWITCH = sys.argv[2]
print(iomap.switch(sys.argv[3] == "on"), end="")
"""


def switched(path: str, wanted: str) -> str:
    words = [sys.executable, "-S", "-c", SWITCH, MODULES, path, wanted]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("before", "wanted", "then"), [("Y\n", "off", "0"), ("N\n", "on", "1")])
def test_the_modules_switch_is_written_for_every_server_in_both_directions(
    tmp_path: Path, before: str, wanted: str, then: str
) -> None:
    (tmp_path / "enable_iomap").write_text(before)
    assert switched(str(tmp_path / "enable_iomap"), wanted) == ""
    assert (tmp_path / "enable_iomap").read_text() == then


def test_a_switch_that_does_not_move_is_a_problem_and_a_kernel_without_one_is_none(tmp_path: Path) -> None:
    assert switched("/dev/null", "on") == "/dev/null stays off"
    assert switched(str(tmp_path / "none"), "on") == ""
