# SPDX-License-Identifier: GPL-2.0-or-later
"""Results reach Patchwork and KCIDB once, whatever the servers do, and no token is ever told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reviewbot.cli.posting import outbox_command, post_command
from reviewbot.model.checks import PatchCheck, PatchChecks
from reviewbot.post import Outbox, State, outbox_file, web
from reviewbot.report import Record, files
from reviewbot.store import RunFolder
from tests.post.results import PROJECT, TOKEN, Taker, taking
from tests.post.servers import GitConfig
from tests.report.records import RECORDS, RUN

PATCHES = {
    "libfuse.1@example.org": 11, "libfuse.2@example.org": 12, "libfuse.3@example.org": 13,
    "e2fsprogs.1@example.org": 21,
}  # fmt: skip


@pytest.fixture
def taker(git_config: GitConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Taker]:
    """A server that git's settings and the environment name, and a user with a run."""
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(web, "BACKOFF", 0)
    with taking(Taker(patches=dict(PATCHES))) as server:
        git_config.set("b4", **{"pw-url": f"{server.url}/", "pw-project": PROJECT, "pw-key": TOKEN})
        monkeypatch.setenv("KCIDB_REST", server.url.replace("http://", f"http://{TOKEN}@") + "/submit")
        put(tmp_path, RECORDS["regression"]())
        yield server


def put(tmp_path: Path, record: Record) -> None:
    run = RunFolder(RUN, tmp_path / "data" / "runs" / RUN)
    run.path.mkdir(parents=True, exist_ok=True)
    assert record.plan
    run.write("plan.json", record.plan)
    for name, content in files(record, {}).items():
        run.write(name, content)


def post(*words: str) -> Result:
    done = CliRunner().invoke(post_command, [RUN, *words], standalone_mode=False)
    assert TOKEN not in done.output + str(done.exception)
    return done


def send_what_is_due() -> Result:
    return CliRunner().invoke(outbox_command, ["send"], standalone_mode=False)


def box(tmp_path: Path) -> Outbox:
    return Outbox(outbox_file(tmp_path / "data"))


def test_each_patch_has_its_checks_once(taker: Taker) -> None:
    assert post("--to", "patchwork", "--send").return_value == 0
    said = {number: [(one["context"], one["state"]) for one in some] for number, some in taker.checks.items()}
    tests = {11: "warning", 12: "fail", 13: "warning", 21: "warning"}
    assert said == {number: [("reviewbot-tests", state)] for number, state in tests.items()}
    asked = taker.asked
    assert post("--to", "patchwork", "--send").return_value == 0
    assert taker.asked == asked, "what was sent is not sent again"


def test_a_check_that_the_server_has_is_not_added(taker: Taker, tmp_path: Path) -> None:
    post("--to", "patchwork", "--send")
    outbox_file(tmp_path / "data").unlink()
    assert post("--to", "patchwork", "--send").return_value == 0
    assert all(len(some) == 1 for some in taker.checks.values())


def test_without_send_nothing_is_asked(taker: Taker) -> None:
    assert "fail  reviewbot-tests  libfuse.2@example.org" in post("--to", "patchwork").output
    assert json.loads(post("--to", "kcidb").output)["version"] == {"major": 5, "minor": 3}
    assert taker.asked == 0


def test_a_busy_server_is_asked_again_until_it_took_everything(taker: Taker, tmp_path: Path) -> None:
    patches = {f"p{number}@x": number for number in range(100, 140)}
    taker.patches.update(patches)
    taker.every = 7
    checks = tuple(
        PatchCheck(message_id=one, context="reviewbot-tests", state="success", description="x") for one in patches
    )
    (tmp_path / "data" / "runs" / RUN / "checks.json").write_text(PatchChecks(run=RUN, checks=checks).model_dump_json())
    assert post("--to", "patchwork", "--send").return_value == 0
    assert len(taker.checks) == len(patches) and all(len(some) == 1 for some in taker.checks.values())


def test_what_a_server_is_too_busy_for_goes_later(taker: Taker, tmp_path: Path) -> None:
    taker.busy = 1000
    done = post("--to", "patchwork", "--send")
    assert done.return_value == 4 and "pending" in done.output
    waiting = box(tmp_path).all(State.PENDING)
    assert len(waiting) == 4 and [one.tries for one in waiting] == [1, 0, 0, 0] and taker.checks == {}
    taker.busy = 0
    assert send_what_is_due().return_value == 0 and len(taker.checks) == 3, "the first not before its time"
    box(tmp_path).release(waiting[0].id)
    assert send_what_is_due().return_value == 0 and len(taker.checks) == 4


def test_an_answer_that_was_lost_is_not_asked_for_again(taker: Taker, tmp_path: Path) -> None:
    taker.breaks = 1
    assert post("--to", "patchwork", "--send").return_value == 4
    assert [one.state for one in box(tmp_path).all()].count(State.SENDING) == 1
    assert send_what_is_due().return_value == 0
    assert all(len(some) == 1 for some in taker.checks.values())


@pytest.mark.parametrize("status", [500, 502, 504])
def test_kcidb_never_gets_a_second_copy_of_what_it_may_have_taken(taker: Taker, tmp_path: Path, status: int) -> None:
    taker.after = status
    assert post("--to", "kcidb", "--send").return_value == 4
    (item,) = box(tmp_path).all()
    assert item.state is State.SENDING and len(taker.submissions) == 1
    taker.after = 0
    send_what_is_due()
    post("--to", "kcidb", "--send")
    assert len(taker.submissions) == 1, "only `outbox release` sends it again"


def test_kcidb_that_is_not_there_for_a_while_gets_it_later(taker: Taker, tmp_path: Path) -> None:
    taker.fails = 503
    assert post("--to", "kcidb", "--send").return_value == 4
    (item,) = box(tmp_path).all(State.PENDING)
    taker.fails = 0
    box(tmp_path).release(item.id)
    assert send_what_is_due().return_value == 0 and len(taker.submissions) == 1


@pytest.mark.parametrize(("status", "state"), [(400, State.REFUSED), (403, State.REFUSED), (500, State.PENDING)])
def test_a_refusal_is_told_in_one_line_without_the_token(
    taker: Taker, tmp_path: Path, status: int, state: State
) -> None:
    taker.fails = status
    for channel in ("patchwork", "kcidb"):
        done = post("--to", channel, "--send")
        assert done.return_value == 4 and f"status {status}" in done.output
    for one in box(tmp_path).all():
        expected = State.SENDING if (one.channel, status) == ("kcidb", 500) else state
        assert one.state is expected and TOKEN not in f"{one}" and len(one.why.splitlines()) <= 1


def test_a_patch_that_the_server_does_not_know_is_refused(taker: Taker, tmp_path: Path) -> None:
    del taker.patches["libfuse.3@example.org"]
    assert post("--to", "patchwork", "--send").return_value == 4
    (refused,) = box(tmp_path).all(State.REFUSED)
    assert refused.why == f"project {PROJECT} has no patch libfuse.3@example.org" and len(taker.checks) == 3


def test_a_run_is_submitted_to_kcidb_once(taker: Taker) -> None:
    for _ in range(2):
        assert post("--to", "kcidb", "--send").return_value == 0
    (submission,) = taker.submissions
    assert len(submission["checkouts"]) == 3 and submission["tests"]


def test_a_server_that_is_not_there_leaves_it_for_later(
    taker: Taker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCIDB_REST", f"http://{TOKEN}@127.0.0.1:1/submit")
    assert post("--to", "kcidb", "--send").return_value == 4
    (one,) = box(tmp_path).all()
    assert one.state is State.PENDING and one.goes_to == "http://127.0.0.1:1/submit"


def test_missing_settings_are_said(taker: Taker, git_config: GitConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    git_config.path.write_text("")
    monkeypatch.delenv("KCIDB_REST")
    assert "git has no b4.pw-url" in str(post("--to", "patchwork", "--send").exception)
    assert "KCIDB_REST is not set" in str(post("--to", "kcidb", "--send").exception)


def test_a_file_that_is_no_submission_is_not_sent(taker: Taker, tmp_path: Path) -> None:
    (tmp_path / "data" / "runs" / RUN / "kcidb.json").write_text('{"version": {"major": 5, "minor": 3}, "tests": [{}]}')
    assert "is not a valid submission" in str(post("--to", "kcidb", "--send").exception)
    assert taker.asked == 0
