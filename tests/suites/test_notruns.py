# SPDX-License-Identifier: GPL-2.0-or-later
"""What is learned of tests that cannot run: used while nothing that it depends on has changed, and checked again."""

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.model.errors import ConfigError
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.store.notruns import Known
from reviewbot.suites import notruns
from reviewbot.suites.fstests import judge
from reviewbot.suites.notruns import DAYS, EVERY, KEPT, digest, learn, load_rules, said, usable

DAY = datetime.date(2026, 11, 25)
PARTS = {
    name: f"{name} 1" for name in ("leg", "fstests", "ours", "guest", "disks", "machine", "config", "kernel", "stack")
}
PROGRAM = "fsverity utility required, skipped this test"
ABLE = {"kernel", "stack", "guest", "disks", "machine"}
"""What decides what a filesystem can do."""
REFLINK = "Reflink not supported by test filesystem type: ext4"
ODD = "a reason of which nobody has heard"


def notrun(test: str, reason: str) -> TestResult:
    return TestResult(suite="fstests", test=test, outcome=Outcome.NOTRUN, reason=reason)


def ended(test: str, outcome: Outcome) -> TestResult:
    return TestResult(suite="fstests", test=test, outcome=outcome)


def learned(*results: TestResult, known: Known | None = None, parts: dict[str, str] = PARTS) -> Known:
    return learn(known or {}, "ext4", results, parts, "run-1", DAY)


def due_never(test: str) -> str:
    """A test whose turn to be run again is not the first."""
    return next(
        f"{test}{n:02}" for n in range(90) if usable(learned(notrun(f"{test}{n:02}", PROGRAM)), "ext4", PARTS, DAY)
    )


ONE, TWO, THREE = (due_never(f"generic/{number}") for number in range(1, 4))


def changed(*names: str) -> dict[str, str]:
    return PARTS | dict.fromkeys(names, "other")


def claimed(*results: TestResult, known: Known | None = None, parts: dict[str, str] = PARTS) -> Known:
    """What a patched stack says."""
    return learn(known or {}, "ext4", results, parts, "run-1", DAY, confirmed=False)


@pytest.mark.parametrize("reason", [PROGRAM, "not suitable for this filesystem type: ext4", REFLINK])
def test_what_a_patched_stack_says_holds_for_this_stack_only(reason: str) -> None:
    known = claimed(notrun(ONE, reason))
    assert set(usable(known, "ext4", PARTS, DAY)) == {ONE}
    for name in PARTS:
        assert usable(known, "ext4", changed(name), DAY) == {}, name


def test_an_unpatched_stack_confirms_it() -> None:
    known = learned(notrun(ONE, PROGRAM), known=claimed(notrun(ONE, PROGRAM)), parts=changed("kernel"))
    for name in ("kernel", "stack"):
        assert set(usable(known, "ext4", changed(name), DAY)) == {ONE}
    again = claimed(notrun(ONE, PROGRAM), known=known, parts=changed("kernel", "stack"))
    assert set(usable(again, "ext4", PARTS, DAY)) == {ONE}, "and a patched one does not undo that"


def test_many_patched_stacks_do_not_push_out_what_is_confirmed() -> None:
    known = learned(notrun(ONE, REFLINK))
    for number in range(20):
        known = claimed(notrun(ONE, f"{REFLINK} {number}"), known=known, parts=PARTS | {"kernel": f"patched {number}"})
    assert set(usable(known, "ext4", PARTS, DAY)) == {ONE} and len(known["ext4"][ONE]) <= 2 * KEPT


def test_a_reason_of_any_length_is_not_kept() -> None:
    assert learned(notrun(ONE, "No " + "x" * 300)) == {"ext4": {}}


def test_a_reason_is_used_while_all_it_depends_on_is_the_same() -> None:
    known = learned(notrun(ONE, PROGRAM), notrun(TWO, REFLINK))
    assert set(usable(known, "ext4", PARTS, DAY)) == {ONE, TWO}
    assert usable(known, "fuse4fs", PARTS, DAY) == {}
    for name in ("leg", "fstests", "guest", "ours"):
        assert usable(known, "ext4", changed(name), DAY) == {}


@pytest.mark.parametrize("patched", [("kernel", "config"), ("kernel",), ("stack",), ("kernel", "stack", "config")])
def test_what_a_patch_may_have_added_is_tried_again(patched: tuple[str, ...]) -> None:
    known = learned(notrun(ONE, PROGRAM), notrun(TWO, REFLINK))
    assert set(usable(known, "ext4", changed(*patched), DAY)) == {ONE}


def test_a_reason_that_no_rule_knows_depends_on_everything_and_must_be_found_twice() -> None:
    once = learned(notrun(ONE, ODD))
    assert usable(once, "ext4", PARTS, DAY) == {}
    twice = learned(notrun(ONE, ODD), known=once)
    assert set(usable(twice, "ext4", PARTS, DAY)) <= {ONE} and twice["ext4"][ONE][0].seen == 2
    assert all(digest(ODD, PARTS) != digest(ODD, changed(name)) for name in PARTS)


def test_what_is_so_at_this_moment_only_is_not_learned() -> None:
    assert learned(notrun(ONE, "scsi_debug module in use"), notrun(TWO, "Could not set up huge page for test")) == {
        "ext4": {}
    }


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL, Outcome.CRASH, Outcome.HANG])
def test_one_that_did_run_is_forgotten_with_all_of_the_same_reason(outcome: Outcome) -> None:
    known = learned(notrun(ONE, REFLINK), notrun(TWO, REFLINK), notrun(THREE, PROGRAM))
    known = learn(known, "fuse4fs", [notrun(TWO, REFLINK)], PARTS, "run-1", DAY)
    after = learned(ended(ONE, outcome), known=known)
    assert set(after["ext4"]) == {THREE} and after["fuse4fs"] == {}


def test_one_that_ran_on_another_kernel_contradicts_nothing() -> None:
    known = learned(notrun(ONE, REFLINK), notrun(TWO, REFLINK))
    assert learned(ended(ONE, Outcome.PASS), known=known, parts=changed("kernel")) == known


@pytest.mark.parametrize("outcome", [Outcome.INFRA, Outcome.MISS])
def test_a_lost_machine_says_nothing(outcome: Outcome) -> None:
    known = learned(notrun(ONE, REFLINK))
    assert learned(ended(ONE, outcome), known=known) == known


def test_an_excluded_test_is_not_learned() -> None:
    assert learned(notrun(ONE, "excluded: it hangs (https://example.org)")) == {"ext4": {}}


def test_base_and_head_are_remembered_side_by_side_but_not_all_that_ever_was() -> None:
    known = learned(notrun(ONE, REFLINK))
    known = learned(notrun(ONE, REFLINK), known=known, parts=changed("kernel"))
    assert ONE in usable(known, "ext4", PARTS, DAY) and ONE in usable(known, "ext4", changed("kernel"), DAY)
    for number in range(9):
        known = learned(notrun(ONE, REFLINK), known=known, parts=PARTS | {"kernel": f"k{number}"})
    assert len(known["ext4"][ONE]) == notruns.KEPT and ONE not in usable(known, "ext4", PARTS, DAY)


def test_each_is_really_run_once_in_so_many_uses_and_not_all_in_the_same() -> None:
    tests = [f"generic/{number:03}" for number in range(100)]
    known, run = learned(*(notrun(test, PROGRAM) for test in tests)), dict.fromkeys(tests, 0)
    for _ in range(EVERY):
        skip = usable(known, "ext4", PARTS, DAY)
        real = set(tests) - set(skip)
        assert len(real) < 30
        for test in real:
            run[test] += 1
        answers = [notrun(test, PROGRAM).model_copy(update={"learned": test in skip}) for test in tests]
        known = learned(*answers, known=known)
    assert set(run.values()) == {1}
    assert {entries[0].seen for entries in known["ext4"].values()} == {2}


def test_an_old_one_is_run_again_however_seldom_it_is_used() -> None:
    known = learned(notrun(ONE, PROGRAM))
    assert ONE in usable(known, "ext4", PARTS, DAY + datetime.timedelta(days=DAYS))
    assert usable(known, "ext4", PARTS, DAY + datetime.timedelta(days=DAYS + EVERY)) == {}


def test_the_answer_carries_its_day_and_below_it_the_proof() -> None:
    (entry,) = learned(notrun(ONE, PROGRAM), known=learned(notrun(ONE, PROGRAM)))["ext4"][ONE]
    reply = StepReply(name=f"fstests/{ONE}", status="known", exit_status=77, output=said(entry))
    judged = judge(ONE, reply)
    assert (judged.outcome, judged.reason) == (Outcome.NOTRUN, f"{PROGRAM} (learned 2026-11-25)")
    assert reply.output.splitlines()[1] == (
        "not run again: learned on 2026-11-25 in run run-1, found 2 times, the last on 2026-11-25"
    )


@pytest.mark.parametrize(
    ("reason", "depends"),
    [
        ("not suitable for this filesystem type: fuse.ext4", set()),
        ("This test requires a valid $SCRATCH_LOGDEV", set()),
        ("fsverity utility required, skipped this test", {"guest"}),
        ("setfattr command not found", {"guest"}),
        ("debugfs utility required, skipped this test", {"guest", "stack"}),
        ("This test requires dumpe2fs utility.", {"guest", "stack"}),
        ("This test requires dm flakey support", {"guest", "config"}),
        ("Installed kernel does not support quotas", {"config"}),
        ("This test requires at least 10GB free on /mnt/scratch to run", {"disks", "stack"}),
        ("Reflink not supported by scratch filesystem type: ext4", ABLE),
        ("Dedupe not supported by test filesystem type: ext4", ABLE),
        ("No encryption support for fuse.ext4", ABLE),
        ("xfs_io -c shutdown not supported on fuse.ext4", ABLE),
        ("disk quotas not supported by this filesystem type: fuse.ext4", ABLE),
        ("kernel doesn't support renameat2 syscall", ABLE),
    ],
)
def test_what_fstests_says_depends_on(reason: str, depends: set[str]) -> None:
    found = {name for name in PARTS if digest(reason, PARTS) != digest(reason, changed(name))}
    assert found == depends | set(notruns.ALWAYS)


def test_no_rule_lets_what_a_filesystem_can_do_outlive_a_change_of_its_code() -> None:
    for word in ("reflink", "fiemap", "verity", "quota", "ACLs", "O_TMPFILE", "swapfiles", "shutdown", "renameat2"):
        for reason in (f"{word} not supported by this filesystem", f"{word} is not supported", f"No {word} support"):
            assert digest(reason, PARTS) != digest(reason, changed("kernel"))
            assert digest(reason, PARTS) != digest(reason, changed("stack"))


@pytest.mark.parametrize(
    ("line", "said"),
    [("{says: '(', why: no expression at all}", "not a regular expression"),
     ("{says: x, depends: [moon], why: no such part}", "depends"), ("{says: x, depends: [guest]}", "why"),
     ("{says: x, never: true, depends: [guest], why: one or the other}", "never")],
)  # fmt: skip
def test_a_wrong_rule_is_a_config_error_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(f"reasons:\n  - {line}\n")
    with pytest.raises(ConfigError, match=r"rules\.yaml:2: ") as caught:
        load_rules(path)
    assert said in str(caught.value)


REASONS = st.sampled_from([PROGRAM, REFLINK, ODD, "scsi_debug module in use"])
RESULTS = st.lists(
    st.builds(
        TestResult,
        suite=st.just("fstests"),
        test=st.sampled_from([ONE, TWO, THREE]),
        reason=REASONS,
        outcome=st.sampled_from([Outcome.NOTRUN, Outcome.PASS, Outcome.INFRA]),
        learned=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda result: result.test,
)


@given(st.lists(RESULTS, max_size=5))
def test_nothing_is_used_that_the_last_real_run_did_not_say(runs: list[list[TestResult]]) -> None:
    known: Known = {}
    last: dict[str, tuple[Outcome, str]] = {}
    for results in runs:
        known = learned(*results, known=known)
        for result in results:
            if result.outcome is not Outcome.INFRA and not result.learned:
                last[result.test] = (result.outcome, result.reason)
    for test, entry in usable(known, "ext4", PARTS, DAY).items():
        assert last[test] == (Outcome.NOTRUN, entry.reason)
