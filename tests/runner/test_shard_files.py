# SPDX-License-Identifier: GPL-2.0-or-later
"""Shards as values: cut, written, run elsewhere, merged in any order; what does not belong is refused."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reviewbot.config import Site, load_stack
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.lab import JobReply, StepReply
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.shard import IMAGES, Shard, ShardPlan, ShardResult, merged
from reviewbot.runner import SuiteJob, run_legs, shard_files
from reviewbot.runner.worker import find_shard, run_shard
from reviewbot.store import Durations, NotRuns, RunFolder, Store
from reviewbot.store.objects import Objects
from tests.played import TESTS, Lab, World, made_world, outcomes

LEGS = [load_stack().leg(name) for name in ("ext4", "fuse2fs")]


@dataclass
class Cut:
    """A run that was cut into shards on one host."""

    world: World
    folder: Path
    run: RunFolder
    begun: tuple[LegResult, ...]
    names: tuple[str, ...]

    @property
    def plan(self) -> ShardPlan:
        return shard_files.read_plan(self.run)

    def elsewhere(self, name: str, lab: Lab | None = None) -> Path:
        """Run one on a host that has nothing but the folder; the file of its result."""
        with self.world.playing(lab or Lab()), pytest.MonkeyPatch.context() as patch:
            patch.setattr("reviewbot.lab.choose_accelerator", lambda *_, **__: Accelerator("tcg", "a test"))
            result = self.folder.parent / "results" / name
            store = Store(self.folder.parent / f"host-{name}")
            shard, sources = find_shard(str(self.folder / name), Objects(store.root / "objects"), ())
            found = run_shard(shard, sources, shard_files.logs_of(result), store, Site(), silent)
        result.parent.mkdir(exist_ok=True)
        result.write_text(found.model_dump_json())
        return result

    def merge(self, *paths: Path) -> tuple[LegResult, ...]:
        found = shard_files.read_results(paths)
        durations = Durations(self.folder.parent / "merged.json")
        return shard_files.merge(self.plan, self.begun, found, self.world.artifacts, durations, self.notruns)

    @property
    def notruns(self) -> NotRuns:
        return NotRuns(self.folder.parent / "notruns.json")


def made_cut(world: World, count: int = 4) -> Cut:
    context = world.context()
    for kind, image in IMAGES.items():
        path = Path(world.artifacts.artifacts[kind].path)
        path.mkdir(exist_ok=True)
        (path / image).write_text(f"boots {kind}")
    deferred: list[SuiteJob] = []
    with world.playing(Lab()):
        begun = run_legs(LEGS, ["smoke", "fstests"], context, deferred=deferred.append)
    names = shard_files.write_shards(deferred, count, context, world.folder / "cut")
    return Cut(world, world.folder / "cut", context.run, begun, names)


@pytest.fixture
def cut() -> Iterator[Cut]:
    with made_world() as world:
        yield made_cut(world)


def test_smoke_runs_where_shards_are_made_and_their_folder_has_all_they_need(cut: Cut) -> None:
    assert all({t.suite for t in leg.tests} == {"smoke"} for leg in cut.begun)
    assert cut.names == tuple(f"shard-{number:02}.json" for number in range(1, 5))
    assert {path.name for path in (cut.folder / "artifacts").iterdir()} == {f"{kind}-key-{kind}" for kind in IMAGES}
    assert [shard_files.read_shard(cut.folder / name) for name in cut.names] == list(cut.plan.shards)
    assert (cut.folder / "run" / shard_files.PLAN).is_file()


def test_results_of_shards_are_those_of_the_whole(cut: Cut) -> None:
    lab = Lab({TESTS[1]: ["fail"] * 2, TESTS[3]: ["hang"] * 2, TESTS[6]: ["lost"] * 2})
    results = [cut.elsewhere(name, lab) for name in cut.names]
    with made_world() as alone, alone.playing(Lab({t: list(s)[:1] * 2 for t, s in EXPECTED.items()})):
        whole = run_legs(LEGS, ["smoke", "fstests"], alone.context())
    for order in itertools.permutations(results):
        assert [outcomes(leg) for leg in cut.merge(*order)] == [outcomes(leg) for leg in whole]
    first = cut.merge(*results)
    assert all(cut.merge(*order) == first for order in itertools.permutations(results)), "in every word"
    assert all(leg.planned == len(leg.tests) == len({(t.suite, t.test) for t in leg.tests}) for leg in first)


EXPECTED = {TESTS[1]: ["fail"], TESTS[3]: ["hang"], TESTS[6]: ["lost"]}


def test_the_same_result_twice_counts_once(cut: Cut) -> None:
    results = [cut.elsewhere(name) for name in cut.names]
    again = results[0].with_name("again.json")
    again.write_bytes(results[0].read_bytes())
    assert cut.merge(*results, again) == cut.merge(*results) == cut.merge(results[0].parent)


def test_two_different_results_of_a_shard_are_not_believed(cut: Cut) -> None:
    results = [cut.elsewhere(name) for name in cut.names]
    other = cut.elsewhere(cut.names[0], Lab(default="fail")).rename(results[0].with_name("other.json"))
    cut.elsewhere(cut.names[0])
    doubtful = shard_files.read_shard(cut.folder / cut.names[0])
    leg = next(leg for leg in cut.merge(*results, other) if leg.leg == doubtful.leg.name)
    twice = {step.name.removeprefix("fstests/") for step in doubtful.tests}
    assert {test: o for test, o in outcomes(leg).items() if o is not Outcome.PASS} == dict.fromkeys(
        twice, Outcome.INFRA
    )


def test_a_shard_without_a_result_leaves_its_tests_to_infra_and_is_named(cut: Cut) -> None:
    absent = shard_files.read_shard(cut.folder / cut.names[-1])
    leg = next(leg for leg in cut.merge(*map(cut.elsewhere, cut.names[:-1])) if leg.leg == absent.leg.name)
    tests = {step.name.removeprefix("fstests/") for step in absent.tests}
    assert {t.test for t in leg.tests if t.outcome is Outcome.INFRA} == tests
    assert leg.reason == f"shard {absent.name} returned no result"


def changed(path: Path, **update: Any) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **update}))
    return path


@pytest.mark.parametrize("update", [{"run": "another"}, {"nonce": "00"}, {"shard": "0" * 32}])
def test_a_result_of_another_run_cut_or_shard_is_refused(cut: Cut, update: dict[str, str]) -> None:
    stray = changed(cut.elsewhere(cut.names[0]), **update)
    with pytest.raises(UsageError, match="is a result of another run or cut"):
        cut.merge(stray)


def test_a_result_that_answers_what_its_shard_did_not_ask_is_not_believed(cut: Cut) -> None:
    results = [cut.elsewhere(name) for name in cut.names]
    machine = json.loads(results[0].read_bytes())["machines"][0]
    machine["replies"].append({"name": "fstests/generic/666", "status": "done", "exit_status": 0})
    changed(results[0], machines=[machine])
    bad = shard_files.read_shard(cut.folder / cut.names[0])
    leg = next(leg for leg in cut.merge(*results) if leg.leg == bad.leg.name)
    assert leg.reason == f"shard {bad.name} returned results that were not requested (fstests/generic/666)"
    assert {t.test for t in leg.tests if t.outcome is Outcome.INFRA} == {s.name.partition("/")[2] for s in bad.tests}


def test_a_shard_may_not_say_that_an_answer_was_known_which_was_not(cut: Cut) -> None:
    results = [cut.elsewhere(name) for name in cut.names]
    machine = json.loads(results[0].read_bytes())["machines"][0]
    machine["replies"][-1] |= {"status": "known", "exit_status": 77, "output": "not supported (learned 2026-11-25)"}
    changed(results[0], machines=[machine])
    bad = shard_files.read_shard(cut.folder / cut.names[0])
    leg = next(leg for leg in cut.merge(*results) if leg.leg == bad.leg.name)
    assert leg.reason.startswith(f"shard {bad.name} returned results that were not requested")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 2}', "\0"])
def test_what_is_no_result_or_no_shard_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    for error in ("no result of a shard", "no shard"):
        with pytest.raises(UsageError, match=error) as caught:
            shard_files.read_results([tmp_path]) if "result" in error else shard_files.read_shard(tmp_path / "x.json")
        assert "\n" not in str(caught.value)


def test_an_interrupted_shard_goes_on_where_it_stopped(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "reviewbot.runner.worker.how_many", lambda machine, accelerator: (1, "so that tests come in order")
    )
    name = cut.names[0]
    tests = [step.name.partition("/")[2] for step in shard_files.read_shard(cut.folder / name).tests]
    with pytest.raises(KeyboardInterrupt):
        cut.elsewhere(name, Lab({tests[1]: ["interrupt"]}))
    cut.elsewhere(name)
    assert cut.world.lab.asked == [tests[1:]]


def test_an_image_that_is_missing_or_another_is_named_with_what_to_do(cut: Cut) -> None:
    image = cut.folder / "artifacts" / "guest-key-guest" / "root.img"
    image.unlink()
    with pytest.raises(InfraError, match="guest-key-guest is missing") as caught:
        cut.elsewhere(cut.names[0])
    assert "copy artifacts/guest-key-guest" in caught.value.hint
    image.write_text("boots another")
    with pytest.raises(InfraError, match="is not the one that the shard was made for"):
        cut.elsewhere(cut.names[0])


def test_shards_of_two_runs_are_not_mixed(cut: Cut) -> None:
    with pytest.raises(UsageError, match="is not empty"):
        shard_files.check_new(cut.folder)


def test_logs_are_taken_from_beside_a_result_and_nothing_else_is(cut: Cut, tmp_path: Path) -> None:
    path = cut.elsewhere(cut.names[0])
    shard = shard_files.read_shard(cut.folder / cut.names[0])
    logs, secret = shard_files.logs_of(path), tmp_path / "secret"
    secret.write_text("a key")
    test = logs / shard.tests[0].name
    (test / "link").symlink_to(secret)
    (logs / "elsewhere").mkdir()
    (logs / "elsewhere" / "file").write_text("not a step's")
    (logs / "fstests" / "generic" / "link").symlink_to(tmp_path)
    shard_files.take_logs(cut.plan, shard_files.read_results([path]), cut.run)
    taken = cut.run.logs(shard.leg.name)
    assert (taken / shard.tests[0].name / "output.txt").is_file()
    names = {entry.name for entry in taken.rglob("*")}
    assert not {"link", "elsewhere", "secret"} & names


def shard_text(cut: Cut) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((cut.folder / cut.names[0]).read_bytes())
    return value


def test_a_shard_from_a_stranger_reaches_no_other_place(cut: Cut) -> None:
    good = shard_text(cut)
    assert Shard.model_validate_json(json.dumps(good)).key == cut.plan.shards[0].key
    step, need = good["steps"][-1], good["needs"][0]
    bad: Sequence[dict[str, Any]] = [
        {"run": "../../etc"},
        {"run": ".hidden"},
        {"leg": {**good["leg"], "name": "a/../../b"}},
        {"leg": {**good["leg"], "name": "a b,file=/etc/passwd"}},
        {"memory": 1 << 40},
        {"cpus": 0},
        {"surprise": 1},
        {"disks": [{"serial": "../x", "size": 1}]},
        {"needs": [{**need, "key": "../../x"}, *good["needs"][1:]]},
        {"needs": [{**need, "kind": "shadow"}, *good["needs"][1:]]},
        {"needs": good["needs"][1:]},
        {"steps": [*good["steps"], step]},
        {"suite": "smoke"},
        {"nonce": "zz"},
        {"schema_version": 1},
        *(
            {"steps": [*good["steps"], {**step, "name": name}]}
            for name in (
                "fstests/../../x",
                "/etc/x",
                "fstests//x",
                "fstests/./x",
                "fstests/-x",
                "smoke/x",
                "fstests/x\n",
                "fstests/",
            )
        ),
    ]
    for update in bad:
        with pytest.raises(ValidationError):
            Shard.model_validate_json(json.dumps({**good, **update}))


NAMES = st.sampled_from([f"fstests/generic/{number:03}" for number in range(6)])
MACHINES = st.builds(
    JobReply,
    name=st.just("m"),
    complete=st.booleans(),
    seconds=st.integers(0, 9),
    replies=st.lists(st.builds(StepReply, name=NAMES, status=st.sampled_from(["done", "timeout", "lost"]))).map(tuple),
)
RESULTS = st.lists(
    st.builds(
        ShardResult, shard=st.sampled_from("abc"), run=st.just("r"), machines=st.lists(MACHINES, max_size=2).map(tuple)
    ),
    max_size=4,
)


@given(RESULTS, RESULTS, RESULTS)
def test_merging_asks_for_no_order_and_no_grouping_and_loses_nothing(
    one: list[ShardResult], two: list[ShardResult], three: list[ShardResult]
) -> None:
    whole = merged(one, two, three)
    assert merged(merged(one, two), three) == merged(one, merged(two, three)) == whole
    assert merged(three, one, two) == merged(whole, two) == merged(reversed(whole)) == whole
    assert all(result in whole for result in (*one, *two, *three))
    assert all(result in (*one, *two, *three) for result in whole)


def test_durations_of_shards_are_remembered_where_they_are_merged(cut: Cut) -> None:
    cut.merge(*(cut.elsewhere(name, Lab(seconds=30.0)) for name in cut.names))
    known = Durations(cut.folder.parent / "merged.json").tests("fuse2fs", "tcg")
    assert set(known) == {f"fstests/{test}" for test in TESTS}


def test_what_cannot_run_is_learned_where_shards_are_merged(cut: Cut) -> None:
    cut.merge(*(cut.elsewhere(name, Lab({TESTS[0]: ["notrun"], TESTS[1]: ["notrun"]})) for name in cut.names))
    assert {leg: set(tests) for leg, tests in cut.notruns.known().items()} == {
        leg.name: {TESTS[0], TESTS[1]} for leg in LEGS
    }


def test_no_artifact_is_needed_to_merge_but_what_is_known_of_them(cut: Cut) -> None:
    cut.world.artifacts = Artifacts()
    assert [leg.reason for leg in cut.merge(*map(cut.elsewhere, cut.names))] == ["", ""]
