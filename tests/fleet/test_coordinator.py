# SPDX-License-Identifier: GPL-2.0-or-later
"""Shards that other hosts run: what is found is what one host finds, whatever becomes of the workers."""

import threading
import time
from dataclasses import replace

import pytest

from reviewbot.fleet.engine import EngineBusy, Phase, Place
from reviewbot.host import cancel
from reviewbot.model.fleet import ROWS, FleetRows, ShardState
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.shard import Shard, ShardResult
from reviewbot.runner import run_legs
from reviewbot.suites import smoke
from tests.fleet.workers import Deed
from tests.fleet.world import FleetWorld
from tests.played import LEG, TESTS, Lab, made_world, outcomes

SCRIPT = {TESTS[1]: ["fail"], TESTS[3]: ["hang"], TESTS[5]: ["notrun"]}


def scripted() -> Lab:
    return Lab({test: list(said) for test, said in SCRIPT.items()})


def alone() -> LegResult:
    """What this host finds by itself."""
    with made_world() as world:
        return world.run("smoke", "fstests", lab=scripted())


def told(result: LegResult) -> list[tuple[str, str, Outcome, str]]:
    return [(test.suite, test.test, test.outcome, test.reason) for test in result.tests]


def rows(fleet: FleetWorld) -> FleetRows:
    folder = fleet.world.folder / "runs" / "latest"
    return FleetRows.model_validate_json((folder / ROWS).read_bytes())


def test_a_fleet_finds_what_one_host_finds(fleet: FleetWorld) -> None:
    asked: list[list[str]] = []

    def deed(shard: Shard, attempt: int) -> Deed:
        asked.append([step.name.partition("/")[2] for step in shard.tests])
        return Deed(scripted())

    fleet.deed = deed
    (result,) = fleet.run("smoke", "fstests")
    assert told(result) == told(alone())
    assert all(test.machine == "tcg@played-cpu" for test in result.tests)
    assert [len(place.batch.shards) for place in fleet.engine.submitted] == [1, 4]
    assert asked[0] == list(smoke.CHECKS), "each check finds what those before it left"


@pytest.mark.parametrize(
    "bad",
    [
        Deed(end=Phase.LOST, brings=False),
        Deed(status=4, brings=False),
        Deed(status=137, brings=False),
        Deed(change=lambda result: b"{" * 100_000),
        Deed(change=lambda result: b"x" * (80 << 20)),
        Deed(change=lambda result: result.model_copy(update={"nonce": "00"})),
        Deed(change=lambda result: result.model_copy(update={"ran": {**result.ran, "kernel": "0" * 64}})),
        Deed(change=lambda result: result.model_copy(update={"machines": result.machines * 2})),
        Deed(change=lambda result: result.model_copy(update={"machines": ()})),
        Deed(Lab(proofs={"sha256:/stack/bin/fuse2fs": "evil"})),
        Deed(rounds=10_000, beats=False),
    ],
    ids=["lost", "status 4", "killed", "no json", "too large", "nonce", "files", "twice", "nothing", "proof", "silent"],
)
def test_a_worker_that_is_lost_or_lies_costs_its_shard_one_more_attempt(fleet: FleetWorld, bad: Deed) -> None:
    def deed(shard: Shard, attempt: int) -> Deed:
        return replace(bad, host="evil") if attempt == 0 and shard.number == 2 else Deed(scripted())

    fleet.deed = deed
    (result,) = fleet.run()
    with made_world() as world:
        assert told(result) == told(world.run(lab=scripted()))
    assert sorted(fleet.engine.attempts.values()) == [1, 1, 1, 2]
    assert result.reason == "" and fleet.engine.submitted[-1].batch.avoid == ("evil",)


@pytest.mark.parametrize("status", [1, 3])
def test_a_status_that_would_come_again_is_not_tried_again(fleet: FleetWorld, status: int) -> None:
    fleet.deed = lambda shard, attempt: Deed(status=status, brings=shard.number != 2)
    (result,) = fleet.run()
    lost = [test for test in result.tests if test.outcome is Outcome.INFRA]
    assert len(lost) == 2 and set(fleet.engine.attempts.values()) == {1}
    assert result.reason == f"shard fuse2fs fstests 2/4: run-shard exited with status {status}"


def test_a_host_that_can_run_nothing_does_not_end_the_shards_that_come_to_it(fleet: FleetWorld) -> None:
    """Status 2: an old version, a broken site file, a wall of the box that is not there."""

    def deed(shard: Shard, attempt: int) -> Deed:
        avoided = fleet.engine.submitted[-1].batch.avoid
        return Deed() if "broken" in avoided else Deed(status=2, brings=False, host="broken")

    fleet.deed = deed
    (result,) = fleet.run()
    assert result.count(Outcome.PASS) == len(TESTS) and set(fleet.engine.attempts.values()) == {2}


def test_a_shard_that_is_out_twice_is_not_given_up_for_the_status_of_one(fleet: FleetWorld) -> None:
    def deed(shard: Shard, attempt: int) -> Deed:
        if shard.number != 2:
            return Deed(rounds=90)
        return Deed(rounds=60) if attempt else Deed(rounds=30, beats=False, status=1, brings=False)

    fleet.deed = deed
    context = fleet.context()
    fleet.engine.deaf = True
    (result,) = fleet.run(context=context)
    assert result.count(Outcome.PASS) == len(TESTS) and result.reason == ""


def test_a_shard_is_given_up_in_the_end_and_names_the_reason(fleet: FleetWorld) -> None:
    fleet.deed = lambda shard, attempt: Deed(status=4, brings=shard.number != 3)
    (result,) = fleet.run()
    assert sorted(fleet.engine.attempts.values()) == [1, 1, 1, 3]
    assert "3 attempts failed, the last: run-shard exited with status 4" in result.reason
    assert result.count(Outcome.INFRA) == 2 and result.count(Outcome.PASS) == 6
    assert [row.state for row in rows(fleet).shards].count(ShardState.GIVEN_UP) == 1


def test_the_best_of_several_broken_results_counts_in_the_end(fleet: FleetWorld) -> None:
    fleet.settings = fleet.settings.model_copy(update={"shards": 1})

    def deed(shard: Shard, attempt: int) -> Deed:
        return Deed(change=lambda result: cut_short(result, (2, 5, 3)[attempt]), status=4)

    fleet.deed = deed
    (result,) = fleet.run()
    assert result.count(Outcome.PASS) == 5 and result.count(Outcome.INFRA) == len(TESTS) - 5
    assert result.reason == "INFRA-suspect: the machines were lost"


def cut_short(result: ShardResult, tests: int) -> ShardResult:
    """With the answers of so many tests."""
    gates = [reply for reply in result.machines[0].replies if reply.name.startswith("setup/")]
    others = [reply for reply in result.replies if not reply.name.startswith("setup/")]
    machine = result.machines[0].model_copy(update={"replies": (*gates, *others[:tests])})
    return result.model_copy(update={"machines": (machine,), "problem": "INFRA-suspect: the machines were lost"})


def test_the_first_result_wins_and_a_second_one_that_differs_is_told(fleet: FleetWorld) -> None:
    """The lease of the first worker ends, a second one is faster, and the first comes all the same."""

    def deed(shard: Shard, attempt: int) -> Deed:
        if shard.number != 1:
            return Deed(rounds=60)
        slow = Deed(Lab(default="fail"), rounds=20, beats=False, host="slow")
        return slow if attempt == 0 else Deed(rounds=2, host="fast")

    fleet.deed = deed
    context = fleet.context()
    fleet.engine.deaf = True
    (result,) = fleet.run(context=context)
    assert result.count(Outcome.PASS) == len(TESTS)
    assert {(one.outcome, one.host) for one in result.twice} == {(Outcome.FAIL, "slow")}
    assert any("PASS counts, but FAIL on slow" in note for note in result.notes)


def test_what_is_out_is_cancelled_when_it_is_no_longer_wanted(fleet: FleetWorld) -> None:
    fleet.deed = lambda shard, attempt: Deed(rounds=10_000)
    context = fleet.context()
    fleet.engine.on_poll = lambda: cancel.current().cancel()
    token = cancel.Cancel()
    with token.working(), pytest.raises(cancel.Stopping):
        run_legs([LEG], ["fstests"], context)
    assert {index for _, index in fleet.engine.cancelled} == {0, 1, 2, 3}
    assert {row.state for row in rows(fleet).shards} == {ShardState.TO_DO}


def test_a_coordinator_that_was_killed_goes_on_with_what_is_out(fleet: FleetWorld) -> None:
    """The second run asks the same engine for what the first has handed out, and hands nothing out again."""
    fleet.deed = lambda shard, attempt: Deed(scripted(), rounds=3)
    context = fleet.context()
    first = fleet.engine

    class Killed(BaseException):
        pass

    answers = 0

    def killed(shard: Shard, result: ShardResult) -> None:
        nonlocal answers
        answers += 1
        if answers == 2:
            raise Killed

    first.deaf = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reviewbot.runner.away.AwayRun._got", lambda self, shard, result: killed(shard, result))
        patch.setattr("reviewbot.fleet.coordinator.Coordinator._call_off", lambda self: None)
        with pytest.raises(Killed):
            run_legs([LEG], ["fstests"], context)
    (result,) = fleet.run(context=fleet.context(first))
    with made_world() as world:
        assert told(result) == told(world.run(lab=scripted()))
    assert len(first.submitted) == 1 and set(first.attempts.values()) == {1}
    logs = fleet.world.folder / "runs" / "latest" / "logs" / "fuse2fs"
    assert all((logs / "fstests" / test / "output.txt").is_file() for test in TESTS)


def test_an_engine_that_does_not_answer_is_asked_again(fleet: FleetWorld) -> None:
    context = fleet.context()
    answers = iter(range(100))

    def busy() -> None:
        if next(answers) < 5:
            raise EngineBusy("Unable to contact slurm controller")

    fleet.engine.on_poll = busy
    (result,) = fleet.run(context=context)
    assert result.count(Outcome.PASS) == len(TESTS) and set(fleet.engine.attempts.values()) == {1}


def test_an_engine_that_takes_nothing_is_asked_ever_more_rarely(fleet: FleetWorld) -> None:
    context = fleet.context()
    submit, until, asked = fleet.engine.submit, time.monotonic() + 1.0, 0

    def busy(place: Place) -> None:
        nonlocal asked
        asked += 1
        if time.monotonic() < until:
            raise EngineBusy("Unable to contact slurm controller")
        submit(place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet.engine, "submit", busy)
        (result,) = fleet.run(context=context)
    assert result.count(Outcome.PASS) == len(TESTS) and asked <= 12


def test_what_a_worker_answered_before_it_was_lost_has_its_logs(fleet: FleetWorld) -> None:
    fleet.settings = fleet.settings.model_copy(update={"shards": 1})
    fleet.deed = lambda shard, attempt: Deed(change=lambda result: cut_short(result, 5), status=4)
    (result,) = fleet.run()
    answered = [test for test in result.tests if test.outcome is Outcome.PASS]
    assert len(answered) == 5
    assert all((fleet.world.folder / "runs" / "latest" / test.log / "output.txt").is_file() for test in answered)


def test_time_that_is_over_ends_the_waiting_and_says_so(fleet: FleetWorld) -> None:
    fleet.deed = lambda shard, attempt: Deed(rounds=1_000_000 if shard.number == 1 else 0)
    context = replace(fleet.context(), seconds=3.0)
    (result,) = fleet.run(context=context)
    assert result.count(Outcome.PASS) == 6 and result.count(Outcome.INFRA) == 2 and "time" in result.reason


def test_a_shard_that_wants_a_kind_of_host_gets_any_in_the_last_attempt(fleet: FleetWorld) -> None:
    def deed(shard: Shard, attempt: int) -> Deed:
        return Deed(cpu="Other CPU", status=4, brings=not shard.kind)

    fleet.deed = deed
    context = replace(fleet.context(), kind="tcg@played-cpu")
    (result,) = fleet.run(context=context)
    assert [place.batch.kind for place in fleet.engine.submitted] == ["tcg@played-cpu", "tcg@played-cpu", ""]
    assert {test.machine for test in result.tests} == {"tcg@other-cpu"}


def test_durations_are_kept_per_kind_of_host(fleet: FleetWorld) -> None:
    fleet.deed = lambda shard, attempt: Deed(
        Lab(seconds=10.0 if shard.number % 2 else 50.0), cpu="Fast" if shard.number % 2 else "Slow"
    )
    context = fleet.context()
    fleet.run(context=context)
    fast, slow = (context.durations.tests(LEG.name, kind) for kind in ("tcg@fast", "tcg@slow"))
    assert {one.seconds for one in fast.values() if one.own} == {1.0}
    assert {one.seconds for one in slow.values() if one.own} == {5.0}


def test_who_does_what_is_in_the_runs_folder(fleet: FleetWorld) -> None:
    (result,) = fleet.run()
    found = rows(fleet)
    assert result.planned == sum(row.done for row in found.shards) and found.fleet == "lab"
    assert {(row.state, row.where, row.kind, row.attempt) for row in found.shards} == {
        (ShardState.DONE, "node1", "tcg@played-cpu", 1)
    }


def test_two_runs_of_the_same_inputs_do_not_share_their_shards(fleet: FleetWorld) -> None:
    fleet.deed = lambda shard, attempt: Deed(rounds=3)
    contexts = [fleet.context(), fleet.context()]
    found: list[LegResult] = []
    threads = [threading.Thread(target=lambda c=c: found.extend(fleet.run(context=c))) for c in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and all(one.count(Outcome.PASS) == len(TESTS) for one in found)
    assert outcomes(found[0]) == outcomes(found[1])
