# SPDX-License-Identifier: GPL-2.0-or-later
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.model.deaths import Death
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome
from reviewbot.suites import Setup, disks, read_setup, setup_result, setup_steps
from reviewbot.suites.setup import SETUP


def reply(output: str, *, status: int | None = 0) -> StepReply:
    return StepReply(name=SETUP, status="done", exit_status=status, output=output)


def test_every_leg_is_set_up_by_a_gate_that_names_its_server() -> None:
    for leg in load_stack().legs:
        steps = setup_steps(leg)
        assert all(step.gate for step in steps)
        assert steps[0].env["LEG_SERVER"] == leg.server
        assert steps[0].env["LEG_FSTYP"] == leg.fstyp
        assert set(leg.prove) <= set(steps[0].argv)


def test_proofs_are_collected_from_json_lines_among_other_words() -> None:
    setup = read_setup(
        [
            StepReply(name="smoke/mount", status="done", exit_status=0, output='{"proof": {"not": "ours"}}'),
            reply('hello\n{"proof": {"sha256:/a": "ab"}}\n[]\n{"proof": {"iomap_flags": 3}}\n{"proof": 1}'),
        ]
    )
    assert setup.ok and setup.reason == ""
    assert setup.proofs == {"sha256:/a": "ab", "iomap_flags": 3}


def test_a_leg_whose_proof_is_missing_says_the_guests_own_reason() -> None:
    setup = read_setup([reply('{"proof": {"mount": "fuse.ext4 rw"}}\n{"problem": "iomap is not proven"}', status=1)])
    assert not setup.ok
    assert setup.reason == "iomap is not proven"
    assert setup.proofs == {"mount": "fuse.ext4 rw"}


def test_a_setup_that_fails_without_a_problem_line_is_quoted() -> None:
    setup = read_setup([reply("Traceback\nOSError: no space left", status=1)])
    assert not setup.ok and "OSError: no space left" in setup.reason


def test_a_setup_that_was_lost_crashed_or_never_came_is_not_ok() -> None:
    assert not read_setup([]).ok
    assert "crashed" in read_setup([StepReply(name=SETUP, status="crash", splat="BUG: x")]).reason
    assert "lost" in read_setup([StepReply(name=SETUP, status="lost")]).reason
    assert "within" in read_setup([StepReply(name=SETUP, status="timeout", seconds=240)]).reason


def test_a_kernel_that_only_warned_while_the_leg_was_set_up_is_a_result_and_no_reason_to_distrust_the_leg() -> None:
    warned = reply('{"proof": {"a": 1}}').model_copy(
        update={"status": "crash", "splat": "WARNING: fs/a.c at b", "crash": "warn", "fingerprint": "b:c"}
    )
    assert read_setup([warned]) == Setup(ok=True, proofs={"a": 1})
    (result,) = setup_result("smoke", [warned], "logs/ext4")
    assert (result.suite, result.test, result.outcome) == ("smoke", "setup", Outcome.CRASH)
    assert result.reason == "during setup/leg: warn: b:c (WARNING: fs/a.c at b)"
    assert result.log == "logs/ext4/setup/leg"


def test_a_server_that_stays_after_its_unmount_in_the_setup_is_a_hang_of_the_stack() -> None:
    death = Death(server="fuse2fs", device="/dev/vdd", hung=True, fingerprint="op_destroy")
    problem = '{"problem": "umount ended with status 2: the server of /dev/vdd is still there"}'
    hung = reply(problem, status=1).model_copy(update={"death": death})
    (result,) = setup_result("smoke", [hung], "logs/fuse2fs")
    assert (result.test, result.outcome, result.death) == ("setup", Outcome.HANG, death)
    assert result.fingerprint == "op_destroy"
    assert not read_setup([hung]).ok


def test_a_server_that_does_not_get_through_its_mount_is_a_hang_of_the_stack_until_base_hangs_too() -> None:
    late = StepReply(name=SETUP, status="timeout", seconds=240, limit=240)
    (result,) = setup_result("smoke", [late], "logs/fuse2fs")
    assert (result.test, result.outcome) == ("setup", Outcome.HANG)
    assert result.reason == "during setup/leg: did not finish within 240 s"
    assert read_setup([late]).reason


def test_a_setup_without_a_splat_is_no_result() -> None:
    for one in (reply(""), reply("", status=1), StepReply(name=SETUP, status="lost")):
        assert setup_result("smoke", [one, StepReply(name="smoke/a", status="crash", splat="x")], "logs") == ()


@given(st.text())
def test_no_output_of_the_guest_breaks_the_reader(text: str) -> None:
    assert read_setup([reply(text)]).ok


def test_deeply_nested_json_from_the_guest_is_passed_over() -> None:
    assert read_setup([reply("[" * 100_000)]).proofs == {}


def test_both_disks_have_the_asked_size() -> None:
    assert [(d.serial, d.size) for d in disks(3)] == [("TEST_DEV", 3 << 30), ("SCRATCH_DEV", 3 << 30)]


def test_what_is_no_text_is_kept_as_text() -> None:
    setup = read_setup([reply(r'{"proof": {"mount": "\ud800x", "n\udfff": 1.5}}' + "\n" + r'{"problem": "\ud800"}')])
    assert Setup(ok=True, reason="", proofs={"mount": "?x", "n?": "1.5"}) == setup


def test_a_proof_that_is_not_given_is_a_test_that_could_not_run_so_that_base_is_asked() -> None:
    missing = reply(
        '{"proof": {"unproven": "iomap"}}\n{"problem": "iomap was required but could not be verified: x"}', status=1
    )
    (result,) = setup_result("smoke", [missing], "logs/leg")
    assert (result.test, result.outcome) == ("setup", Outcome.NOTRUN)
    assert result.reason == "iomap was required but could not be verified: x"
    assert not read_setup([missing]).ok


def test_only_a_rerun_of_the_setup_waits_less_for_a_server_that_hangs() -> None:
    leg = load_stack().leg("fuse2fs")
    limits = [step.env.get("REVIEWBOT_UMOUNT_LIMIT") for step in (*setup_steps(leg), *setup_steps(leg, again=True))]
    assert limits[0] is None and int(limits[1] or 0) < 60
