# SPDX-License-Identifier: GPL-2.0-or-later
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.host.data import data_path
from reviewbot.model.deaths import Death
from reviewbot.model.errors import ConfigError
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome
from reviewbot.suites import smoke
from reviewbot.suites.shortcomings import load_shortcomings
from tests.guest import MODULES

LEG = load_stack().leg("fuse2fs")


def outcome(reply: StepReply) -> tuple[Outcome, str]:
    result = next(r for r in smoke.results(LEG, [reply]) if f"smoke/{r.test}" == reply.name)
    return result.outcome, result.reason


def done(status: int | None, output: str = "") -> StepReply:
    return StepReply(name="smoke/rename", status="done", exit_status=status, output=output)


def test_each_check_is_a_step_that_the_guest_knows() -> None:
    sources = "".join(path.read_text() for path in data_path("qemu/suites/smoke").glob("*.py"))
    known = set(re.findall(r'"([a-z-]+)": [a-z_]+', sources))
    steps = smoke.steps(LEG)
    assert {step.name.removeprefix("smoke/") for step in steps} <= known
    assert steps[-1].name == "smoke/fsck"


def test_exit_status_zero_passes() -> None:
    assert outcome(done(0, "173 entries")) == (Outcome.PASS, "")


def test_exit_status_77_is_notrun_with_its_last_line_as_reason() -> None:
    assert outcome(done(77, "a\nno ACLs here\n")) == (Outcome.NOTRUN, "no ACLs here")


def test_a_notrun_without_a_reason_is_a_failure() -> None:
    assert outcome(done(77))[0] is Outcome.FAIL


def test_any_other_status_fails_with_the_last_line() -> None:
    assert outcome(done(1, "x\ncontent: got 'a'")) == (Outcome.FAIL, "content: got 'a'")
    assert outcome(done(-9))[0] is Outcome.FAIL


def test_a_dead_server_is_a_crash() -> None:
    assert outcome(done(70, "log\nserver died: fuse2fs /dev/vdd pid 7 exit status 139")) == (
        Outcome.CRASH,
        "server died: fuse2fs /dev/vdd pid 7 exit status 139",
    )


def test_a_server_that_did_not_end_after_its_unmount_is_a_hang() -> None:
    hung = Death(server="fuse2fs", pid=7, hung=True, status=255, fingerprint="op_destroy")
    said = outcome(done(70, "server died: fuse2fs").model_copy(update={"death": hung}))
    assert said == (Outcome.HANG, "fuse2fs (pid 7) did not exit after it was unmounted: op_destroy")


OOPS = StepReply(
    name="smoke/rename",
    status="crash",
    exit_status=0,
    splat="BUG: kernel NULL pointer dereference",
    crash="oops",
    fingerprint="fuse_do_readpage:fuse_read_folio",
    splat_text="BUG: …",
)
SAID = "oops: fuse_do_readpage:fuse_read_folio (BUG: kernel NULL pointer dereference)"


@pytest.mark.parametrize("status", [0, 1, 77, -9, None])
def test_a_check_is_a_crash_whatever_it_said_when_the_kernel_splatted(status: int | None) -> None:
    reply = OOPS.model_copy(update={"exit_status": status})
    assert outcome(reply) == outcome(reply.model_copy(update={"status": "done"})) == (Outcome.CRASH, SAID)


def test_a_crash_names_class_and_fingerprint_and_shows_the_splat() -> None:
    result = next(r for r in smoke.results(LEG, [OOPS]) if r.test == "rename")
    assert (result.crash, result.fingerprint, result.dmesg) == ("oops", OOPS.fingerprint, "BUG: …")


def test_a_crash_says_what_else_went_wrong() -> None:
    died = OOPS.model_copy(update={"exit_status": 70, "output": "x\nserver died: fuse2fs"})
    assert outcome(died) == (Outcome.CRASH, f"{SAID}; server died: fuse2fs")
    slow = OOPS.model_copy(update={"status": "timeout", "seconds": 60})
    assert outcome(slow) == (Outcome.CRASH, f"{SAID}; did not finish within 60 s")
    late = OOPS.model_copy(update={"splat_note": "it was allowed until 2026-06-30 only: old (https://x)"})
    assert outcome(late)[1] == f"{SAID}; {late.splat_note}"


@pytest.mark.parametrize("status", [0, 1, 77])
def test_out_of_memory_is_a_crash_whatever_the_check_says(status: int) -> None:
    oom = {"splat": "Out of memory: Killed process (fuse2fs)", "crash": "oom"}
    said = "oom: Out of memory: Killed process (fuse2fs)"
    assert outcome(done(status, "words").model_copy(update=oom)) == (Outcome.CRASH, said)
    died = done(70, "server died").model_copy(update=oom)
    assert outcome(died) == (Outcome.CRASH, f"{said}; server died")


def test_a_task_that_waited_long_is_a_crash_if_the_check_ended_and_a_hang_if_not() -> None:
    hung = {"splat": "INFO: task fsstress blocked", "crash": "hung-task", "fingerprint": "fuse_flush"}
    said = "kernel: hung-task: fuse_flush (INFO: task fsstress blocked)"
    assert outcome(done(0).model_copy(update=hung)) == (Outcome.CRASH, said.removeprefix("kernel: "))
    stuck = StepReply(name="smoke/fio", status="timeout", seconds=120).model_copy(update=hung)
    assert outcome(stuck) == (Outcome.HANG, f"did not finish within 120 s; {said}")
    lost = StepReply(name="smoke/fio", status="lost").model_copy(update=hung)
    assert outcome(lost) == (Outcome.INFRA, f"the machine was lost; {said}")


def test_an_allowed_splat_is_told_by_the_test_that_passed() -> None:
    assert outcome(done(0).model_copy(update={"splat_note": "allowed until …"})) == (Outcome.PASS, "allowed until …")


def test_a_lost_machine_is_a_crash_only_with_a_splat() -> None:
    lost = StepReply(name="smoke/fio", status="lost")
    assert outcome(lost)[0] is Outcome.INFRA
    assert outcome(lost.model_copy(update={"splat": "BUG: kernel NULL pointer"})) == (
        Outcome.CRASH,
        "BUG: kernel NULL pointer",
    )


def test_a_timeout_is_a_hang_and_a_step_never_started_a_miss() -> None:
    assert outcome(StepReply(name="smoke/fio", status="timeout", seconds=120))[0] is Outcome.HANG
    assert outcome(StepReply(name="smoke/fio", status="skipped"))[0] is Outcome.MISS


def test_checks_without_a_reply_are_missing_not_forgotten() -> None:
    results = smoke.results(LEG, [])
    assert [r.test for r in results] == list(smoke.CHECKS)
    assert {r.outcome for r in results} == {Outcome.MISS}


@given(st.text(), st.integers() | st.none(), st.text())
def test_no_reply_breaks_the_reader_and_evidence_stays_small(output: str, status: int | None, dmesg: str) -> None:
    reply = done(status, output * 50).model_copy(update={"dmesg": dmesg * 50})
    for result in smoke.results(LEG, [reply]):
        assert len(result.excerpt) <= 4096 and len(result.dmesg) <= 4096 and "\n" not in result.reason


def test_a_known_shortcoming_of_a_server_has_its_own_word_and_says_whose_it_is() -> None:
    said = "an ACL that lets user 1234 read is stored, and 1234 may not read"
    reply = StepReply(name="smoke/acl", status="done", exit_status=1, output=said)
    facts = {"e2fsprogs.version": "1.47.2"}
    result = next(r for r in smoke.results(LEG, [reply], facts.get) if r.test == "acl")
    assert (result.outcome, result.reason) == (Outcome.KNOWN, said)
    assert result.known and result.known.components == ("e2fsprogs",) and "https://" in result.known.link
    ext4 = next(r for r in smoke.results(load_stack().leg("ext4"), [reply]) if r.test == "acl")
    assert ext4.outcome is Outcome.FAIL, "the kernel's own filesystem has no such excuse"


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        ("Inodes that were part of a corrupted orphan linked list found.  Fix? no", Outcome.KNOWN),
        ("Deleted inode 163 has zero dtime.  Fix? no", Outcome.KNOWN),
        ("Inode 12 ref count is 3, should be 2.  Fix? no", Outcome.FAIL),
    ],
)
def test_files_that_lklfuse_keeps_open_are_known_however_e2fsck_begins(first: str, outcome: Outcome) -> None:
    said = f"e2fsck -fn ended with status 4: {first}"
    reply = StepReply(name="smoke/fsck", status="done", exit_status=1, output=said)
    found = smoke.results(load_stack().leg("lklfuse"), [reply], {"lkl.version": "6.0.0"}.get)
    assert next(r for r in found if r.test == "fsck").outcome is outcome


def test_a_shortcoming_of_one_version_is_none_of_another() -> None:
    said = "RENAME_EXCHANGE was carried out as a plain rename"
    reply = StepReply(name="smoke/exchange", status="done", exit_status=1, output=said)

    def with_version(version: str | None) -> Outcome:
        facts = {"e2fsprogs.version": version}
        return next(r for r in smoke.results(LEG, [reply], facts.get) if r.test == "exchange").outcome

    assert with_version("1.47.2") is Outcome.KNOWN
    assert with_version("1.48.0") is Outcome.FAIL
    assert with_version(None) is Outcome.FAIL


def test_another_failure_of_the_same_check_still_fails() -> None:
    reply = StepReply(name="smoke/acl", status="done", exit_status=1, output="user 4321 reads what only 1234 may read")
    assert outcome(reply)[0] is Outcome.FAIL


@pytest.mark.parametrize("said", ["setfacl: f: Operation not permitted", "setfacl: f: Invalid argument"])
def test_an_error_that_any_failure_of_a_server_could_be_is_not_known(said: str) -> None:
    reply = StepReply(name="smoke/acl", status="done", exit_status=1, output=said)
    facts = {"e2fsprogs.version": "1.47.2"}
    assert next(r for r in smoke.results(LEG, [reply], facts.get) if r.test == "acl").outcome is Outcome.FAIL


def test_what_the_kernel_says_aloud_is_kept_once_with_its_level() -> None:
    reply = done(0, "").model_copy(update={"loud": "<4>one\n<3>two: 7\n<4>one\nno level\n"})
    (result,) = [r for r in smoke.results(LEG, [reply]) if r.loud]
    assert [(line.level, line.text) for line in result.loud] == [(4, "one"), (3, "two: 7")]


def test_a_dead_server_is_never_excused() -> None:
    reply = StepReply(name="smoke/acl", status="done", exit_status=70, output="an ACL is stored, and 1 may not read")
    assert outcome(reply)[0] is Outcome.CRASH


def test_a_wrong_expression_in_the_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "shortcomings:\n  - {legs: [x], tests: [smoke/acl], components: [x], says: '(', reason: long enough, link: 'https://x'}\n"
    )
    with pytest.raises(ConfigError, match=r"s\.yaml:2"):
        load_shortcomings(path)


def test_the_limit_is_shorter_only_for_checks_that_are_run_again() -> None:
    def limits(*only: str, again: bool) -> list[float]:
        return [step.timeout for step in smoke.steps(LEG, only, again=again)]

    assert limits("exchange", "costs", "unmount", again=True) == [6.0, 60.0, 20.0]
    assert limits("exchange", "costs", "unmount", again=False) == [20.0, 120.0, 60.0]
    assert limits(again=True) == limits(again=False), "all of the suite"


def test_checks_that_judge_what_others_left_need_all_before_them() -> None:
    assert smoke.alone(["xattr", "many"]) == ("mkfs", "mount", "xattr", "many")
    assert smoke.alone(["fsck"]) == smoke.CHECKS
    assert smoke.up_to(["rename", "files"])[-1] == "rename"
    assert [step.name for step in smoke.steps(LEG, smoke.alone(["links"]))] == [
        "smoke/mkfs",
        "smoke/mount",
        "smoke/links",
    ]


@pytest.mark.parametrize(
    ("got", "wanted", "said"),
    [
        ("one", "two", "link: got 'one', expected 'two'"),
        (1, 2, "link: got 1, expected 2"),
        (
            "t" * 999,
            "t" * 1000,
            "link: differs from character 999 on: '' instead of 't' (got 999 characters, expected 1000)",
        ),
        (b"\0" * 200 + b"ab", b"\0" * 200 + b"ac", "link: differs from byte 201 on: b'b' instead of b'c'"),
    ],
)
def test_values_that_differ_are_shown_where_they_differ(got: object, wanted: object, said: str) -> None:
    script = f"import guest\ntry: guest.equal({got!r}, {wanted!r}, 'link')\nexcept guest.Failed as found: print(found)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": MODULES}, capture_output=True,
        text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == said
