# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that was cut into shards is judged where they are merged as one that was not cut."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reviewbot.config import Site, load_stack
from reviewbot.model.comparison import Class, Compared, Comparison
from reviewbot.model.lock import Lock
from reviewbot.model.plan import LegPlan, Plan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.trees import Trees
from reviewbot.pipeline.compare import Head, compared, merged
from reviewbot.runner import Bench
from tests.pipeline.test_reruns import other
from tests.played import LEG, TESTS, Lab, World, made_world

FIRST = TESTS[0]
SMOKE = Compared(leg=LEG.name, suite="smoke", test="rename", outcome=Outcome.FAIL, kind=Class.FLAKY)
PLAN = Plan(
    posting=Posting(top="cover@example.org", subject="a series", author="A <a@x>", source="a test", parts=()),
    rfc=False,
    sources=(),
    legs=(LegPlan(leg=LEG.name, why="it is there", needs=LEG.needs),),
    suites=("smoke", "fstests"),
    tests="-g auto",
    blame=0.0,
)


@dataclass(frozen=True, slots=True)
class Played(Head):
    """Its base is there already."""

    def at(self, commits: Mapping[str, str]) -> Bench:
        return replace(self.bench, artifacts=other(self.bench.artifacts), patched=frozenset())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REVIEWBOT_CACHE", str(tmp_path / "cache"))
    with made_world() as made:
        yield made


def results_of(world: World, bench: Bench, script: dict[str, list[str]]) -> LegResult:
    return world.run("smoke", "fstests", lab=Lab(script=script), bench=bench)


def test_smoke_was_compared_where_the_shards_were_made_and_is_not_run_again(world: World) -> None:
    bench = world.bench()
    result = results_of(world, bench, {FIRST: ["fail"]})
    head = Played(PLAN, Trees(trees=()), load_stack(), Site(), bench)
    lab = Lab(script={FIRST: ["done", "fail"] * 9})
    with world.playing(lab):
        found = compared(head, [result], Comparison(tests=(SMOKE,)))
    assert [(one.suite, one.kind) for one in found.tests] == [("smoke", Class.FLAKY), ("fstests", Class.NEW)]
    assert {test for asked in lab.asked for test in asked} == {FIRST}
    assert Comparison.model_validate_json((bench.run.path / "comparison.json").read_bytes()) == found


def lock_of(world: World) -> Lock:
    return Lock(
        run="r",
        tool="t",
        stack="fuse",
        top=PLAN.posting.top,
        mails_sha256="0",
        trees=Trees(trees=()),
        artifacts=world.artifacts,
    )


def test_a_host_that_can_boot_nothing_says_what_it_could_not_compare(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = world.bench()
    result = results_of(world, bench, {FIRST: ["fail"]})
    monkeypatch.setenv("PATH", str(tmp_path))
    found = merged(PLAN, lock_of(world), [result], Comparison(tests=(SMOKE,)), bench.run, Site(), silent)
    assert [(one.test, one.kind) for one in found.tests] == [("rename", Class.FLAKY), (FIRST, Class.UNCOMPARED)]
    assert "is not installed" in found.base_problem


def test_when_all_shards_passed_nothing_has_to_be_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = world.bench()
    result = results_of(world, bench, {})
    monkeypatch.setenv("PATH", str(tmp_path))
    found = merged(PLAN, lock_of(world), [result], Comparison(tests=(SMOKE,)), bench.run, Site(), silent)
    assert found == Comparison(tests=(SMOKE,))
