# SPDX-License-Identifier: GPL-2.0-or-later
"""What a leg that demands iomap has to show in the guest: the guest's own code, with a file for the kernel's log."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reviewbot.host.data import data_path

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import setup
log, switch, before, during, flags, extents = sys.argv[2:]
setup.KMSG, setup.IOMAP_SWITCH = log, switch
setup.offered, setup.extents_of_a_new_file = lambda: int(flags), lambda: int(extents)
def says(words):
    with open(log, "a") as file:
        file.write(words)
says(before)
setup.note(setup.MOUNTING)
says(during)
try:
    setup.prove_iomap()
except setup.Problem as why:
    setup.say(problem=str(why))
"""
WARNING = "4,812,9120013,-;fuse: EXPERIMENTAL iomap feature enabled.  Use at your own risk!"


def proven(folder: Path, *, before: str = "", during: str = WARNING, flags: int = 1, extents: int = 1) -> str:
    """The problem, or an empty string."""
    log = folder / "kmsg"
    log.write_text("")
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, str(data_path("qemu/suites")), str(log), str(folder / "switch"), before,
         during, str(flags), str(extents)], capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0]["proof"]["iomap_flags"] == flags
    return "".join(line.get("problem", "") for line in said)


def test_all_signs_are_proof(tmp_path: Path) -> None:
    assert proven(tmp_path) == ""


def test_the_kernels_unfinished_warning_is_read_after_a_line_of_ours(tmp_path: Path) -> None:
    proven(tmp_path)
    assert (tmp_path / "kmsg").read_text().endswith(f"{WARNING}<6>reviewbot: mounted to see iomap\n")


@pytest.mark.parametrize(
    ("before", "during", "flags", "extents", "missing"),
    [
        ("", "", 1, 1, "EXPERIMENTAL iomap"),
        (f"{WARNING}\n", "", 1, 1, "EXPERIMENTAL iomap"),
        ("", WARNING, 0, 1, "/dev/fuse does not offer iomap"),
        ("", WARNING, 1, 0, "FIEMAP knows no extent of a new file"),
    ],
)
def test_a_missing_sign_is_named(
    tmp_path: Path, before: str, during: str, flags: int, extents: int, missing: str
) -> None:
    problem = proven(tmp_path, before=before, during=during, flags=flags, extents=extents)
    assert problem.startswith("iomap was demanded and is not proven: ") and missing in problem


SWITCH = """
import sys
sys.path.insert(0, sys.argv[1])
import setup
setup.IOMAP_SWITCH = sys.argv[2]
try:
    setup.switch_iomap(sys.argv[3] == "on")
except setup.Problem as why:
    print(why)
"""


def switched(path: str, wanted: str) -> str:
    words = [sys.executable, "-S", "-c", SWITCH, str(data_path("qemu/suites")), path, wanted]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("before", "wanted", "then"), [("Y\n", "off", "0"), ("N\n", "on", "1")])
def test_the_modules_switch_is_written_for_every_server_in_both_directions(
    tmp_path: Path, before: str, wanted: str, then: str
) -> None:
    (tmp_path / "enable_iomap").write_text(before)
    assert switched(str(tmp_path / "enable_iomap"), wanted) == ""
    assert (tmp_path / "enable_iomap").read_text() == then


def test_a_switch_that_does_not_move_is_a_problem_and_a_kernel_without_one_is_none(tmp_path: Path) -> None:
    assert switched("/dev/null", "on") == "/dev/null stays off\n"
    assert switched(str(tmp_path / "none"), "on") == ""
