# SPDX-License-Identifier: GPL-2.0-or-later
"""How one `check` runs test after test: our scripts, for real, around the bones of a `check`."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.model.results import Outcome
from tests.suites.standin import LIMIT, SCRIPTS, Guest, stand_in, wait_for


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    with stand_in(tmp_path) as found:
        yield found


def test_one_check_runs_test_after_test_and_each_is_told_alone(guest: Guest) -> None:
    told = [guest.run(f"generic/{name}") for name in ("001", "002", "003", "001")]
    assert [outcome for outcome, _ in told] == [Outcome.PASS, Outcome.NOTRUN, Outcome.PASS, Outcome.PASS]
    assert len(guest.pids()) == 1
    assert told[1][1].splitlines() == [
        "generic/002 [not run] no such thing",
        "Ran: generic/002",
        "Not run: generic/002",
        "Passed all 1 tests",
    ]
    assert told[2][1].splitlines() == ["generic/003 ", "Ran: generic/003", "Passed all 1 tests"]
    assert (guest.folder / "results/generic/003/generic/003.full").read_text() == "three\n"


def test_a_test_sees_the_same_environment_alone_and_after_another(guest: Guest) -> None:
    def seen() -> set[str]:
        guest.run("generic/003")
        lines = (guest.folder / "results/generic/003/generic/env").read_text().splitlines()
        return {line for line in lines if not line.startswith(("_=", "SHLVL="))}

    alone = seen()
    guest.run("generic/004")  # ends that `check`
    guest.run("generic/001")
    assert seen() - {"LOGGER_PROG=_reviewbot_turn"} == alone - {"LOGGER_PROG=_reviewbot_turn"}
    assert not any(line.startswith("REVIEWBOT_TURN") for line in alone)


def test_a_test_may_die_of_a_broken_pipe_although_the_agent_cannot(guest: Guest) -> None:
    guest.test("generic/005", "yes | head -n 1")
    guest.test("generic/006", "grep SigIgn /proc/self/status")
    assert guest.run("generic/005")[0] is guest.run("generic/006")[0] is Outcome.PASS
    assert (guest.folder / "results/generic/005/generic/005.full").read_text() == "y\n"
    ignored = int((guest.folder / "results/generic/006/generic/006.full").read_text().split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_after_a_failure_check_unmounts_and_the_next_test_gets_a_new_one(guest: Guest) -> None:
    assert [guest.run(f"generic/{name}")[0] for name in ("001", "004", "001")] == [
        Outcome.PASS,
        Outcome.FAIL,
        Outcome.PASS,
    ]
    assert len(guest.pids()) == 2
    assert (guest.tree / "unmounts").read_text() == "unmounted\n"


@pytest.mark.parametrize("before", [[], ["generic/001"]])
def test_a_test_whose_step_was_killed_is_killed_before_the_next(guest: Guest, before: list[str]) -> None:
    guest.test("generic/005", "echo $$ >hanging; sleep 1000")
    for name in before:
        guest.run(name)
    step = guest.start("generic/005")
    wait_for(guest.tree / "hanging")
    os.killpg(step.pid, signal.SIGKILL)
    step.wait(LIMIT)
    outcome, said = guest.run("generic/003")
    assert (outcome, "generic/005" in said) == (Outcome.PASS, False)
    hanging = int((guest.tree / "hanging").read_text() or 0)
    assert not Path(f"/proc/{hanging}").exists() or "Z" in Path(f"/proc/{hanging}/stat").read_text()
    assert len(guest.pids()) == 2


@pytest.mark.parametrize("before", [[], ["generic/001"]])
def test_a_check_that_is_killed_costs_its_test_only(guest: Guest, before: list[str]) -> None:
    guest.test("generic/005", "kill -9 $PPID; sleep 0.2")
    for name in before:
        guest.run(name)
    outcome, said = guest.run("generic/005")
    assert outcome is Outcome.INFRA
    assert "check exited in the middle of a test" in said
    assert guest.run("generic/003")[0] is Outcome.PASS


def test_a_check_that_tells_no_outcome_runs_its_one_test_and_ends(guest: Guest) -> None:
    guest.check(stash="_account")
    assert [guest.run(f"generic/{name}")[0] for name in ("001", "002", "004")] == [
        Outcome.PASS,
        Outcome.NOTRUN,
        Outcome.FAIL,
    ]
    assert len(guest.pids()) == 3


def test_where_programs_are_is_answered_as_the_question_itself_is(tmp_path: Path) -> None:
    asked = """\
export SED_PROG="$(type -P sed)"
export NO_PROG=$(type -P no-such-program)
AWK_PROG="$(type -P awk)" # with a word
UDEVADM_PROG="$(type -P cat)"
\texport INDENTED_PROG="$(type -P sed)"
export DF_PROG="$DF_PROG -T -P"
set_path() { local p=$(type -P mkfs.$1); echo "$p"; }
"""
    config = tmp_path / "config"
    config.write_text(asked)
    shown = ["bash", "-c", f"PATH=.:$PATH; . {config}; declare -p SED_PROG NO_PROG AWK_PROG UDEVADM_PROG INDENTED_PROG"]
    before = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    subprocess.run(["bash", SCRIPTS / "programs", config], check=True)
    assert subprocess.run(shown, check=True, capture_output=True, text=True).stdout == before
    lines = config.read_text().splitlines()
    assert lines[1] == 'export NO_PROG=""'
    assert [line for line in lines if "type -P" in line] == [asked.splitlines()[n] for n in (2, 4, 6)]
