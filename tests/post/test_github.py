# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks and comments at a server that takes what GitHub takes: once, whole, and again after whatever went wrong."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.model.errors import UsageError
from reviewbot.model.github import Annotation, GithubReport
from reviewbot.post import Item, Outbox, State
from reviewbot.post.github import Github, GithubSettings, Target, github_settings, github_target, marker, put_github
from reviewbot.report.github import cut, github_report
from tests.command import called
from tests.post.hub import ME, TOKEN, Hub, Trouble, hub
from tests.report.records import RECORDS, RUN, large
from tests.report.test_from_folder import left

SHA = "a1" * 20
CHECK = Target(repository="o/r", sha=SHA, component="libfuse")
COMMENT = Target(repository="o/r", issue=7)


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as made:
        yield made


def report(name: str = "regression", run: str = "20261103-101502-7a3f", annotations: int = 0) -> GithubReport:
    remarks = tuple(
        Annotation(path="lib/fuse.c", line=n, level="warning", title="t", message=f"m{n}")
        for n in range(1, annotations + 1)
    )
    made = github_report(RECORDS[name]()).model_copy(update={"run": run})
    return made.model_copy(update={"annotations": {"libfuse": remarks}}) if annotations else made


class Sender:
    """An outbox, and how long was waited."""

    def __init__(self, folder: Path, server: Hub, token: str = TOKEN) -> None:
        self.outbox, self.slept = Outbox(folder / "outbox.sqlite"), list[float]()
        self.api = server.url
        self._github = Github(GithubSettings(server.url, token), self.slept.append)

    def send(self, what: GithubReport, target: Target) -> Item:
        item = put_github(what, target, self.api, self.outbox)
        return self.outbox.send(item.id, self._github.carry)

    def again(self, item: Item) -> Item:
        self.outbox.release(item.id)
        return self.outbox.send(item.id, self._github.carry)


@pytest.mark.parametrize("name", RECORDS)
def test_each_kind_of_verdict_makes_a_check_that_github_takes(tmp_path: Path, server: Hub, name: str) -> None:
    assert Sender(tmp_path, server).send(report(name), CHECK).state is State.SENT
    (check,) = server.checks
    assert (check["name"], check["head_sha"], check["status"]) == ("reviewbot libfuse", SHA, "completed")
    assert server.refused == []


def test_remarks_stand_on_the_lines_of_the_component(tmp_path: Path, server: Hub) -> None:
    Sender(tmp_path, server).send(report("review-errors"), CHECK)
    lines = {(one["path"], one["start_line"], one["annotation_level"]) for one in server.checks[0]["all"]}
    assert lines == {("lib/fuse.c", 2871, "failure"), ("lib/fuse.c", 2872, "warning"), ("lib/fuse.c", 2874, "warning")}


def test_more_annotations_than_a_request_takes_go_in_several(tmp_path: Path, server: Hub) -> None:
    assert Sender(tmp_path, server).send(report(annotations=120), CHECK).state is State.SENT
    assert [one["message"] for one in server.checks[0]["all"]] == [f"m{n}" for n in range(1, 121)]
    assert len(server.checks) == 1 and server.refused == []


@pytest.mark.parametrize("lost", range(1, 5))
def test_a_check_whose_answer_was_lost_is_finished_and_not_repeated(tmp_path: Path, server: Hub, lost: int) -> None:
    server.trouble = [*[None] * (lost - 1), Trouble(502, done=True)]
    assert Sender(tmp_path, server).send(report(annotations=120), CHECK).state is State.SENT
    assert len(server.checks) == 1
    assert [one["message"] for one in server.checks[0]["all"]] == [f"m{n}" for n in range(1, 121)]


def test_a_comment_is_replaced_by_that_of_a_later_run_and_not_repeated(tmp_path: Path, server: Hub) -> None:
    sender = Sender(tmp_path, server)
    for number in range(5):  # others talk, too: the list has several pages
        server.comments.append({"id": number + 1, "user": {"login": "dana"}, "body": f"hello {number}"})
    sender.send(report(run="20261103-000000-0001"), COMMENT)
    assert len(server.comments) == 6
    later = sender.send(report("pass", run="20261104-000000-0001"), COMMENT)
    assert later.state is State.SENT and len(server.comments) == 6
    assert "PASS" in server.comments[5]["body"] and server.comments[0]["body"] == "hello 0"
    earlier = sender.send(report(run="20261101-000000-0001"), COMMENT)
    assert earlier.why == "the comment is of a newer run" and "PASS" in server.comments[5]["body"]


def test_a_strangers_comment_with_our_mark_is_left_alone(tmp_path: Path, server: Hub) -> None:
    server.comments.append({"id": 1, "user": {"login": "mallory"}, "body": f"{marker(report())}\nmine"})
    Sender(tmp_path, server).send(report(), COMMENT)
    assert [one["user"]["login"] for one in server.comments] == ["mallory", ME]
    assert server.comments[0]["body"].endswith("mine")


def test_a_person_s_token_finds_the_comments_of_that_person(tmp_path: Path, server: Hub) -> None:
    server.user, sender = "dana", Sender(tmp_path, server)
    sender.send(report(run="20261103-000000-0001"), COMMENT)
    sender.send(report(run="20261104-000000-0001"), COMMENT)
    assert [one["user"]["login"] for one in server.comments] == ["dana"]


@pytest.mark.parametrize(
    "status, headers, least",
    [(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, 20.0), (429, {"retry-after": "17"}, 17.0),
     (403, {"retry-after": "60"}, 60.0), (500, {}, 2.0), (503, {}, 2.0)],
)  # fmt: skip
def test_limits_and_faults_of_the_server_are_waited_for(
    tmp_path: Path, server: Hub, status: int, headers: dict[str, str], least: float
) -> None:
    reset = {"x-ratelimit-reset": str(int(time.time()) + 30)} if "x-ratelimit-reset" in headers else {}
    server.trouble = [Trouble(status, headers | reset), Trouble(status, headers | reset)]
    sender = Sender(tmp_path, server)
    assert sender.send(report(), CHECK).state is State.SENT
    assert len(sender.slept) == 2 and all(one >= least for one in sender.slept)
    assert len(server.checks) == 1


def test_a_server_that_stays_broken_is_tried_again_later(tmp_path: Path, server: Hub) -> None:
    server.trouble = [Trouble(502)] * 9
    sender = Sender(tmp_path, server)
    item = sender.send(report(), CHECK)
    assert item.state is State.PENDING and item.not_before is not None
    server.trouble = []
    assert sender.again(item).state is State.SENT and len(server.checks) == 1


@pytest.mark.parametrize("status", [403, 404, 422])
def test_a_refusal_ends_it_with_the_server_s_words(tmp_path: Path, server: Hub, status: int) -> None:
    server.trouble = [Trouble(status)]
    item = Sender(tmp_path, server).send(report(), CHECK)
    assert item.state is State.REFUSED and str(status) in item.why and "no" in item.why


def test_a_wrong_token_is_refused_and_not_told(tmp_path: Path, server: Hub) -> None:
    item = Sender(tmp_path, server, token="ghp_WRONGCANARY").send(report(), CHECK)
    assert item.state is State.REFUSED and "401" in item.why and "CANARY" not in item.why


def test_the_token_follows_no_link_to_another_host(tmp_path: Path, server: Hub) -> None:
    with hub() as other:
        server.page = 1
        server.comments = [{"id": n, "user": {"login": "dana"}, "body": "x"} for n in (1, 2)]
        link = server.url
        server.url = other.url  # what the Link header names
        made = Sender(tmp_path, server)
        sender = Github(GithubSettings(link, TOKEN), made.slept.append)
        item = put_github(report(), COMMENT, link, made.outbox)
        assert made.outbox.send(item.id, sender.carry).state is State.SENT
        assert other.asked == []


def test_the_same_report_is_in_the_outbox_once(tmp_path: Path, server: Hub) -> None:
    sender = Sender(tmp_path, server)
    first, second = sender.send(report(), CHECK), sender.send(report(), CHECK)
    assert first.id == second.id and len(server.checks) == 1
    assert sum(one.startswith("POST") for one in server.asked) == 1


def test_a_summary_of_many_tests_fits_and_leaves_nothing_open() -> None:
    text = github_report(large(1500)).summary
    assert len(text.encode()) < 65_400
    small = (
        "a\n````text\nb\n```\n" + "c\n" * 40 + "````\n<details><summary>x</summary>\n\n" + "d\n" * 40 + "</details>\n"
    )
    for room in range(5, len(small)):
        made = cut(small, room)
        lines = made.split("\n")
        assert lines.count("````") == lines.count("````text") and made.count("<details>") == made.count("</details>")


def posted(folder: Path, server: Hub, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "GITHUB_API_URL": server.url, "GITHUB_TOKEN": TOKEN, "REVIEWBOT_DATA": str(folder / "data")}
    return called("post", str(folder / RUN), "--to", "github", *words, env=env)


def test_the_command_posts_what_it_makes_from_the_facts_of_the_folder(tmp_path: Path, server: Hub) -> None:
    left(tmp_path / RUN, RECORDS["review-errors"]())
    (tmp_path / RUN / "summary.md").write_text("@everybody <script>")  # a folder of others: texts in it are not posted
    place = ("--repository=o/r", f"--sha={SHA}", "--component=libfuse")
    dry = posted(tmp_path, server, *place)
    assert (dry.returncode, server.asked) == (0, []) and json.loads(dry.stdout)["conclusion"] == "failure"
    done = posted(tmp_path, server, *place, "--send")
    assert done.returncode == 0, done.stderr
    (check,) = server.checks
    assert len(check["all"]) == 3 and "@everybody" not in json.dumps(check)
    again = posted(tmp_path, server, *place, "--send")
    assert again.returncode == 0 and len(server.checks) == 1 and TOKEN not in again.stdout + done.stdout


def test_no_link_and_no_command_comes_from_the_folder(tmp_path: Path, server: Hub) -> None:
    record = RECORDS["regression"]().model_copy(
        update={"url": "https://evil.example/x", "install": "git+https://evil.example/x@1"}
    )
    left(tmp_path / RUN, record)
    place = ("--repository=o/r", "--issue=7", "--send")
    page = "https://github.example/o/r/actions/runs/9"
    assert posted(tmp_path, server, *place).returncode == 0
    assert posted(tmp_path, server, "--repository=o/r", f"--sha={SHA}", "--send", f"--url={page}").returncode == 0
    assert "evil" not in json.dumps([server.comments, server.checks]) and server.checks[0]["details_url"] == page
    for url in ("javascript:alert(1)", "https://x y", "ftp://x"):
        done = posted(tmp_path, server, "--repository=o/r", f"--sha={SHA}", f"--url={url}")
        assert done.returncode == 2 and "not a URL" in done.stderr


@pytest.mark.parametrize(
    "head",
    [
        {"url": "javascript:alert(1)"},
        {"install": "--index-url=https://evil.example x"},
        {"run": "20260101-000000-0000"},
    ],
)
def test_a_folder_whose_heads_are_not_as_we_write_them_is_refused(
    tmp_path: Path, server: Hub, head: dict[str, str]
) -> None:
    left(tmp_path / RUN, RECORDS["pass"]())
    name = "verdict.json" if "run" in head else "report.json"
    path = tmp_path / RUN / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **head}))
    done = posted(tmp_path, server, "--repository=o/r", "--issue=7", "--send")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and server.asked == []
    assert ("holds run" in done.stderr) if "run" in head else (f"report.json: {next(iter(head))}: " in done.stderr)


def test_a_server_that_refuses_makes_the_command_fail_without_the_token(tmp_path: Path, server: Hub) -> None:
    left(tmp_path / RUN, RECORDS["pass"]())
    server.trouble = [Trouble(403)]
    done = posted(tmp_path, server, "--repository=o/r", f"--sha={SHA}", "--send")
    assert done.returncode == 4 and "403" in done.stdout and TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "words", [("o", SHA, 0), ("o/..", SHA, 0), ("o/r/x", SHA, 0), ("o/r", "abc", 0), ("o/r", "", 0), ("o/r", SHA, 3)]
)
def test_a_wrong_target_is_an_error_of_the_user(words: tuple[str, str, int]) -> None:
    with pytest.raises(UsageError):
        github_target(words[0], words[1], "", words[2])


@pytest.mark.parametrize(
    "api, token", [("http://github.example.org", "t"), ("ftp://x", "t"), ("https://x", ""), ("https://x", "a\nb")]
)
def test_settings_that_would_tell_the_token_are_refused(monkeypatch: pytest.MonkeyPatch, api: str, token: str) -> None:
    monkeypatch.setenv("GITHUB_API_URL", api)
    monkeypatch.setenv("GITHUB_TOKEN", token)
    with pytest.raises(UsageError):
        github_settings()
