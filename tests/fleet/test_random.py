# SPDX-License-Identifier: GPL-2.0-or-later
"""64 shards of 1,500 tests, lost, doubled, delayed and reordered at random: nothing is lost, nothing counts twice."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.fleet.coordinator import Coordinator, Rules
from reviewbot.fleet.engine import Phase, Place, State
from reviewbot.fleet.ledger import Course, Ledger
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.lab import GuestStep, JobReply, StepReply
from reviewbot.model.progress import silent
from reviewbot.model.results import Outcome
from reviewbot.model.shard import IMAGES, Need, Shard, ShardResult
from reviewbot.model.worker import Worker
from reviewbot.runner import SuiteJob, suite_result
from reviewbot.runner.cut import cut
from reviewbot.runner.errand import Errand
from reviewbot.runner.parcel import RESULT
from reviewbot.runner.shard_files import read_shard
from reviewbot.suites import setup_steps

LEG = load_stack().leg("ext4")
TESTS = tuple(f"generic/{number:04}" for number in range(1500))
SHARDS, NONCE = 64, "00ff"
FATES = ("good", "lost", "status 4", "status 2", "rubbish", "double", "late", "partial")
"""What becomes of an attempt."""


@cache
def work() -> SuiteJob:
    steps = tuple(GuestStep(name=f"fstests/{test}", argv=("check", test), timeout=9) for test in TESTS)
    shard = Shard(
        run="20261129-120000-abcd",
        leg=LEG,
        suite="fstests",
        steps=(*setup_steps(LEG), *steps),
        needs=tuple(Need.model_validate({"kind": kind, "key": kind, "sha256": "0" * 64}) for kind in IMAGES),
        release="7.1",
        memory=512,
        cpus=1,
    )
    lengths = {step.name: 1.0 + number % 40 for number, step in enumerate(steps)}
    return SuiteJob(shard, {}, lengths)


def result_of(shard: Shard, *, tests: int | None = None) -> ShardResult:
    """What an honest worker says: every seventh test fails."""
    said = [StepReply(name=gate.name, status="done", exit_status=0, output='{"proof": {}}') for gate in shard.setup]
    said += [
        StepReply(
            name=step.name,
            status="done",
            exit_status=int(int(step.name[-4:]) % 7 == 0),
            output="Passed all 1 tests"
            if int(step.name[-4:]) % 7
            else f"Failures: {step.name[8:]}\nFailed 1 of 1 tests",
            seconds=1.0,
            limit=9.0,
        )
        for step in shard.tests[:tests]
    ]
    return ShardResult(
        shard=shard.key,
        run=shard.run,
        nonce=shard.nonce,
        machines=(JobReply(name="m", complete=True, replies=tuple(said), accelerator="tcg"),),
        problem="" if tests is None else "INFRA-suspect",
        worker=Worker(host="node1", accelerator="tcg"),
        ran={need.kind: need.sha256 for need in shard.needs},
    )


@cache
def course() -> Course:
    return Course(nonce=NONCE, shards=tuple(sorted(cut([work()], SHARDS, NONCE), key=lambda shard: shard.number)))


@cache
def told(place: int, fate: str) -> str:
    """The file that a worker brings for a shard; empty: none."""
    shard = course().shards[place]
    match fate:
        case "good" | "late":
            return result_of(shard).model_dump_json()
        case "partial":
            return result_of(shard, tests=len(shard.tests) // 2).model_dump_json()
        case "double":
            twice = {"machines": result_of(shard).machines * 2}
            return result_of(shard).model_copy(update=twice).model_dump_json()
        case "rubbish":
            return '{"shard": [[[['
    return ""


@dataclass
class Fates:
    """An engine whose attempts end as they are fated to, after so many questions."""

    fates: list[str]
    delays: list[int]
    most: int = 256
    batches: dict[str, Place] = field(default_factory=dict)
    drawn: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    count: int = 0

    def submit(self, place: Place) -> None:
        for index in range(len(place.batch.shards)):
            fate = self.fates[self.count % len(self.fates)]
            self.drawn[place.batch.name, index] = fate, self.delays[self.count % len(self.delays)]
            self.count += 1
            self._bring(place, index, fate)

    @staticmethod
    def _bring(place: Place, index: int, fate: str) -> None:
        if made := told(read_shard(place.shard(index)).number - 1, fate):
            place.own(index).mkdir()
            (place.own(index) / RESULT).write_text(made)

    def poll(self, place: Place) -> Mapping[int, State]:
        found = {}
        for index in reversed(range(len(place.batch.shards))):
            fate, left = self.drawn[place.batch.name, index]
            self.drawn[place.batch.name, index] = fate, left - 1
            if left > 0:
                found[index] = State(Phase.RUNNING, "node1", beat="" if fate == "late" else str(left))
            elif fate != "lost":
                found[index] = State(Phase.ENDED, "node1", {"status 4": 4, "status 2": 2}.get(fate, 0))
        return found

    def fetch(self, place: Place, index: int) -> Path | None:
        path = place.own(index) / RESULT
        return path if path.exists() else None

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        """They are deaf: what comes all the same is a second result."""


@settings(max_examples=10)  # some seconds each
@given(
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=40),
    delays=st.lists(st.integers(0, 5), min_size=1, max_size=20),
)
def test_every_test_has_one_outcome_and_it_is_the_honest_one_or_infra(fates: list[str], delays: list[int]) -> None:
    engine, results = Fates(fates, delays), list[ShardResult]()
    with TemporaryDirectory() as name:
        folder = Path(name)
        Coordinator(
            errand=Errand(
                work=work(),
                kind="",
                images=dict,
                cut=lambda *_: (),
                logs=folder / "logs",
                fresh=False,
                stop=threading.Event(),
                until=float("inf"),
                got=lambda shard, result: results.append(result),
                again=lambda shard, result: None,
            ),
            engine=engine,
            ledger=Ledger(folder / "ledger"),
            rules=Rules(attempts=3, lease=0.0, slow=0.0, poll=0.0),
            publish=lambda shard: "0" * 64,
            progress=silent,
            on_rows=lambda rows, changed: None,
        ).run(lambda nonce: course())
    found = suite_result(work(), results, Artifacts())
    assert [test.test for test in found.tests] == list(TESTS) and found.planned == len(TESTS) == 1500
    assert sum(found.count(outcome) for outcome in Outcome) == found.planned
    honest = {test: Outcome.PASS if int(test[-4:]) % 7 else Outcome.FAIL for test in TESTS}
    assert all(test.outcome in (honest[test.test], Outcome.INFRA) for test in found.tests)
    if set(fates) <= {"good", "late"}:
        assert found.count(Outcome.INFRA) == 0 and found.reason == ""
    if not {"good", "late", "partial"} & set(fates):
        assert found.count(Outcome.INFRA) == 1500 and "shard ext4 fstests" in found.reason
