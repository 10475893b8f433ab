# SPDX-License-Identifier: GPL-2.0-or-later
"""A reviewbot that is killed, or has no room left, loses no answer, and no test that has one runs again.

The machines play their part; processes, files and the signal are real.
"""

import os
import subprocess
import sys
from contextlib import suppress
from itertools import chain
from pathlib import Path

from pydantic import ValidationError

from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome, Results
from tests.conftest import ROOT
from tests.faults import fault
from tests.played import TESTS, Lab, World, artifacts, outcomes

KILLED = """
import os, signal, sys
from pathlib import Path
from reviewbot.runner import run, run_legs
from reviewbot.model.results import Results
from tests.played import LEG, TESTS, Lab, World, artifacts

class Deadly(Lab):
    def _next(self, step):
        if step.name == "fstests/" + TESTS[5]:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._next(step)

def told(legs):
    context.run.write("results.json", Results(run=context.run.id, tool="a test", legs=legs))

run.INTERVAL = run.RATIO = 0.0
folder = Path(sys.argv[1])
world = World(folder, artifacts(folder.parent / "artifacts"))
context = world.context(machines=2)
with world.playing(Deadly(pause=0.05)):
    run_legs([LEG], ["smoke", "fstests"], context, told)
"""

FULL = """
import sys
from pathlib import Path
import click
from reviewbot.cli import entry
from reviewbot.cli.group import reviewbot
from tests.played import Lab, World, artifacts

@click.command("play")
def play():
    folder = Path(sys.argv[1])
    world = World(folder, artifacts(folder.parent / "artifacts"))
    world.run("fstests", lab=Lab(said=120_000), context=world.context(machines=2))

reviewbot.add_command(play)
sys.exit(entry.run(["play"]))
"""


def child(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own works in the folder."""
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def answered(folder: Path) -> set[str]:
    """Tests whose answers are kept."""
    (path,) = folder.glob("cache/scratch/partial/*/replies.jsonl")
    replies = []
    for line in path.read_text().splitlines():
        with suppress(ValidationError):  # a full disk may have cut it
            replies.append(StepReply.model_validate_json(line))
    return {reply.name.removeprefix("fstests/") for reply in replies if reply.name.startswith("fstests/")}


def goes_on(folder: Path) -> None:
    """The next call asks the rest, and only the rest; then everything has its answer."""
    before = answered(folder)
    world = World(folder, artifacts(folder.parent / "artifacts"))
    result = world.run("fstests", context=world.context(machines=2), lab=Lab(pause=0.002))
    again = set(chain(*world.lab.asked))
    assert again == set(TESTS) - before, "a second machine is asked what the first had not taken yet"
    assert outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS)
    assert world.run("fstests").reused


@fault(
    "reviewbot itself killed",
    collected="all answers so far",
    outcome="none yet: the next call asks it again",
    machine="dies with it",
)
def test_sigkill_in_the_middle_of_a_suite(tmp_path: Path) -> None:
    done = child(KILLED, tmp_path / "user")
    assert done.returncode == -9, done.stderr
    kept = answered(tmp_path / "user")
    assert 2 <= len(kept) < len(TESTS) and TESTS[5] not in kept
    (path,) = (tmp_path / "user" / "runs" / "latest").glob("results.json")
    (leg,) = Results.model_validate_json(path.read_bytes()).legs
    told = {t.test for t in leg.tests if t.suite == "fstests" and t.outcome is Outcome.PASS}
    assert told and told <= kept and leg.planned == len(leg.tests), "the killed run says what it knew"
    goes_on(tmp_path / "user")


def test_a_full_disk_is_one_line_and_what_was_there_is_whole(small_disk: Path) -> None:
    done = child(FULL, small_disk)
    status, said = done.returncode, done.stderr
    assert status == 4 and said.count("\n") == 1 and said.startswith("reviewbot: the disk is full"), said
    assert 2 <= len(answered(small_disk)) < len(TESTS)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    goes_on(small_disk)
