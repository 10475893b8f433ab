# SPDX-License-Identifier: GPL-2.0-or-later
"""What `b4 review` is told: by itself, and through the real b4."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reviewbot.cli.b4_check import b4_check
from reviewbot.model.base import Model
from reviewbot.model.errors import Blocked, DiskFull, ReviewbotError
from reviewbot.report import Record, files
from reviewbot.store import RunFolder, Runs
from reviewbot.verdict import judge_error
from tests.command import called_bytes
from tests.mails import diff, mail
from tests.report.records import (
    PLAN,
    POSTING,
    TOP,
    failing,
    passing,
    passing_with_review,
    review_clean,
    review_with_errors,
    reviewed,
    unapplied,
)
from tests.repos import git

COVER = "libfuse@example.org"
PATCHES = [f"libfuse.{n}@example.org" for n in (1, 2, 3)]
ALL = (TOP, COVER, *PATCHES, "e2fsprogs.1@example.org")


def put(data: Path, name: str, record: Record, *, index: bool = True) -> RunFolder:
    """A run as the pipeline leaves it."""
    folder = RunFolder(name, data / "runs" / name)
    folder.path.mkdir(parents=True)
    assert record.plan is not None
    folder.write("plan.json", record.plan)
    if index:
        folder.write_message_ids(ALL)
    for file, content in files(record, {}).items():
        if isinstance(content, Model) or file == "summary.md":
            folder.write(file, content)
    return folder


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def say(raw: bytes, *arguments: str) -> list[dict[str, str]]:
    """The entries, shaped as b4 takes them."""
    done = CliRunner().invoke(b4_check, arguments, input=raw)
    assert done.exit_code == 0, done.output
    entries: list[dict[str, str]] = json.loads(done.stdout)
    assert isinstance(entries, list)
    for entry in entries:
        assert set(entry) == {"tool", "status", "summary", "url", "details"}
        assert entry["status"] in ("pass", "warn", "fail") and entry["tool"] and entry["summary"]
        assert all(isinstance(value, str) for value in entry.values())
    return entries


def ask(message_id: str, *arguments: str) -> dict[str, dict[str, str]]:
    entries = say(mail(message_id, "[PATCH] x", diff("a")), *arguments)
    assert len({entry["tool"] for entry in entries}) == len(entries), "b4 keeps one result per tool"
    return {entry["tool"]: entry for entry in entries}


def statuses(entries: dict[str, dict[str, str]]) -> dict[str, str]:
    return {tool: entry["status"] for tool, entry in entries.items()}


def described(entry: dict[str, str]) -> list[tuple[str, str]]:
    """The details as b4 shows them: a dot of a colour, and words."""
    return [(line["status"], line["description"]) for line in json.loads(entry["details"] or "[]")]


def test_without_a_run_nothing_is_said_that_b4_would_keep(data: Path) -> None:
    assert ask("a;b@example.org") == {}


def test_the_cover_has_the_verdict_and_what_the_review_says_of_its_part(data: Path) -> None:
    run = put(data, "20261103-000000-aaaa", reviewed(review_with_errors()))
    found = ask(COVER)
    assert statuses(found) == {"reviewbot": "fail", "reviewbot/build": "fail", "reviewbot/review": "fail"}
    assert found["reviewbot"]["summary"].startswith("BUILD-FAILS: libfuse patch 2/3 does not build on its own")
    assert found["reviewbot"]["url"] == (run.path / "summary.md").as_uri()
    assert found["reviewbot/build"]["summary"] == "2 of 3 patches with trouble"
    assert found["reviewbot/review"]["summary"] == "2 errors, 1 warning, 1 note"
    assert ("fail", "libfuse patch 1/3: no Signed-off-by: of the author Dana Example <dana@example.org> [message]") in (
        described(found["reviewbot/review"])
    )
    assert ("pass", "libfuse patch 1/3: builds") in described(found["reviewbot/build"])


def test_the_top_cover_speaks_of_all_parts(data: Path) -> None:
    put(data, "20261103-000000-aaaa", reviewed(review_with_errors()))
    assert ask(TOP)["reviewbot/build"]["summary"] == "3 of 4 patches with trouble"


def test_a_patch_has_its_own_build_and_remarks(data: Path) -> None:
    put(data, "20261103-000000-aaaa", reviewed(review_with_errors()))
    first, second, third = (ask(patch) for patch in PATCHES)
    assert statuses(first) == {"reviewbot/build": "pass", "reviewbot/review": "fail"}
    assert first["reviewbot/review"]["summary"] == "1 error, 1 warning"
    assert statuses(second) == {"reviewbot/build": "fail", "reviewbot/review": "pass"}
    assert second["reviewbot/build"]["summary"] == (
        "fails: lib/fuse.c:2871: ‘struct fuse’ has no member named ‘rename’"
    )
    assert statuses(third) == {"reviewbot/build": "warn", "reviewbot/review": "pass"}
    assert described(third["reviewbot/build"])[0][1].startswith("lib/fuse.c:2874: variable ‘err’ set but not used")
    assert third["reviewbot/review"]["summary"] == "no remarks"
    assert statuses(ask("e2fsprogs.1@example.org"))["reviewbot/build"] == "warn"


def test_a_series_without_a_cover_is_asked_for_with_its_first_patch(data: Path) -> None:
    put(data, "20261103-000000-aaaa", reviewed(review_clean()))
    assert statuses(ask("e2fsprogs.1@example.org", "--series")) == {"reviewbot": "pass"}
    assert statuses(ask("e2fsprogs.1@example.org")) == {"reviewbot/build": "pass", "reviewbot/review": "pass"}


def test_a_run_with_tests_tells_both(data: Path) -> None:
    put(data, "20261103-000000-aaaa", passing_with_review())
    found = ask(COVER)
    assert statuses(found) == {"reviewbot": "pass", "reviewbot/build": "pass", "reviewbot/review": "warn"}
    assert found["reviewbot"]["summary"].startswith("PASS: all 4 tests")
    assert "note: leg fuse4fs-iomap is unavailable" in found["reviewbot"]["details"]


def test_the_newest_run_counts_and_the_tests_of_an_older_one_stay_beside_it(data: Path) -> None:
    put(data, "20261101-000000-aaaa", passing())
    put(data, "20261102-000000-aaaa", reviewed(review_with_errors()))
    put(data, "20261103-000000-aaaa", reviewed(review_clean()))
    found = ask(COVER)
    assert statuses(found)["reviewbot"] == "pass" and "nothing was booted" in found["reviewbot"]["summary"]
    assert found["reviewbot/tests"]["summary"].startswith("PASS: all 4 tests")
    assert statuses(found)["reviewbot/build"] == "pass"


def test_a_failure_of_ours_hides_nothing_that_was_known(data: Path) -> None:
    put(data, "20261101-000000-aaaa", reviewed(review_clean()))
    broken = judge_error("x", DiskFull())
    put(data, "20261102-000000-aaaa", unapplied().model_copy(update={"verdict": broken}))
    assert ask(COVER)["reviewbot"]["summary"].startswith("PASS: ")


@pytest.mark.parametrize("error", [DiskFull(), Blocked("patch 2/3 is missing", hint="it may still arrive")])
def test_what_may_be_otherwise_tomorrow_is_not_said(data: Path, error: ReviewbotError) -> None:
    put(data, "20261102-000000-aaaa", unapplied().model_copy(update={"verdict": judge_error("x", error)}))
    assert ask(COVER) == {} and ask(PATCHES[2]) == {}


def test_failures_that_base_may_have_are_a_warning(data: Path) -> None:
    put(data, "20261102-000000-aaaa", failing())
    assert statuses(ask(COVER)) == {"reviewbot": "warn"}


def test_a_patch_that_does_not_apply_fails_and_the_others_were_not_reviewed(data: Path) -> None:
    put(data, "20261103-000000-aaaa", unapplied())
    assert statuses(ask(COVER)) == {"reviewbot": "fail"}
    (entry,) = ask(PATCHES[2]).values()
    assert entry["status"] == "fail" and entry["summary"].startswith("DOES-NOT-APPLY: ")
    assert "error: patch failed: lib/fuse.c:2871" in entry["details"]
    assert ask(PATCHES[0]) == {}


def test_a_run_that_goes_on_says_nothing_yet(data: Path) -> None:
    run = put(data, "20261103-000000-aaaa", reviewed(review_clean()))
    for name in ("verdict.json", "review.json"):
        (run.path / name).unlink()
    assert ask(COVER) == {}


def test_a_part_that_was_left_out_is_no_success(data: Path) -> None:
    review = review_clean().model_copy(update={"patches": review_clean().patches[:3]})
    put(data, "20261103-000000-aaaa", reviewed(review))
    assert ask("e2fsprogs.1@example.org") == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema_version": 99}', b"null"])
@pytest.mark.parametrize("name", ["plan.json", "verdict.json", "review.json"])
def test_a_damaged_run_is_passed_over(data: Path, name: str, content: bytes) -> None:
    put(data, "20261101-000000-aaaa", reviewed(review_clean()))
    newer = put(data, "20261102-000000-aaaa", reviewed(review_clean()))
    (newer.path / name).write_bytes(content)
    assert statuses(ask(COVER)) == {"reviewbot": "pass", "reviewbot/build": "pass", "reviewbot/review": "warn"}


def test_a_run_of_a_version_without_the_list_of_mails_is_found_by_its_plan(data: Path) -> None:
    put(data, "20261101-000000-aaaa", reviewed(review_clean()), index=False)
    assert "reviewbot/review" in ask(PATCHES[0])
    assert [run.id for run in Runs(data / "runs").about(PATCHES[0])] == ["20261101-000000-aaaa"]
    assert list(Runs(data / "runs").about("libfuse.1@example.or")) == []


def test_a_plan_that_names_the_mail_elsewhere_is_about_the_posting(data: Path) -> None:
    stranger = POSTING.model_copy(update={"top": "other@example.org"})
    put(
        data,
        "20261101-000000-aaaa",
        reviewed(review_clean()).model_copy(update={"plan": PLAN.model_copy(update={"posting": stranger})}),
    )
    assert "reviewbot" in ask(TOP)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0" * 100, b"no header at all", b"Subject: x\n\nMessage-ID: <in-the-body@example.org>\n",
     b"Message-ID: no-brackets@example.org\n\n", b"Message-ID: <>\n\n", b"\xff\xfeMessage-ID: <a@b>\n\n"],
)  # fmt: skip
def test_of_what_is_no_mail_nothing_is_said(data: Path, raw: bytes) -> None:
    assert say(raw) == []


@pytest.mark.parametrize(
    "header",
    [
        "Message-ID: <{}>",
        "Message-Id: <{}>",
        "MESSAGE-ID:<{}>",
        "message-id:  \n  <{}>",
        "Subject: x\r\nMessage-ID: <{}>\r",
    ],
)
def test_the_message_id_is_found_however_it_is_written(data: Path, header: str) -> None:
    put(data, "20261103-000000-aaaa", reviewed(review_clean()))
    assert "reviewbot" in {e["tool"] for e in say(f"From x\n{header.format(COVER)}\n\nbody\n".encode())}


@given(st.binary(max_size=300), st.text(max_size=60))
@example(b"", "../../etc/passwd@x")
@example(b"", "a\x00b@x")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_nothing_on_stdin_breaks_it(data: Path, raw: bytes, word: str) -> None:
    say(raw)
    say(f"Message-ID: <{word}>\n\n".encode(errors="replace") + raw)


def test_a_folder_where_files_should_be_hides_nothing_else(data: Path) -> None:
    (data / "runs" / "20261103-000000-aaaa" / "plan.json").mkdir(parents=True)
    (data / "runs" / "20261103-000000-aaaa" / "message-ids").mkdir()
    assert ask(COVER) == {}


def call(*arguments: str, raw: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    return called_bytes("b4-check", *arguments, said=raw, env={**os.environ, **env})


def test_a_wrong_option_is_the_users_mistake(data: Path) -> None:
    done = call("--nope")
    assert done.returncode == 2 and done.stdout == b"" and b"--nope" in done.stderr


def test_it_loads_neither_the_pipeline_nor_what_fetches_mails() -> None:
    script = (
        "import sys; from reviewbot.cli import entry; entry.run(['b4-check'])\n"
        "heavy = ('reviewbot.pipeline', 'requests', 'liblore', 'b4', 'jinja2', 'rich')\n"
        "print(*(name for name in sys.modules if name.startswith(heavy)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=b"x", capture_output=True, check=True, timeout=600)
    assert json.loads(done.stdout) == [] and done.stderr.strip() == b"reviewbot: the mail has no Message-ID"


def test_a_review_on_demand_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("archive: http://127.0.0.1:9/all\n")
    raw = mail("a@example.org", "[PATCH] x")
    own = {f"REVIEWBOT_{n}": str(tmp_path / n.lower()) for n in ("CACHE", "DATA")} | {"REVIEWBOT_SITE": str(site)}
    for words, more in (("127.0.0.1:9", ()), ("did not finish within", ("--timeout", "0.01"))):
        done = call("--run", *more, raw=raw, **own)
        assert done.returncode == 0 and json.loads(done.stdout) == [] and words in done.stderr.decode()


CHECKS = """
import argparse, json, sys
from email import message_from_bytes, policy
import b4
from b4.review import checks
b4.setup_config(argparse.Namespace(config=[], debug=False, no_cache=True, offline_mode=True, no_stdin=True))
perpatch, series = checks.load_check_cmds()
mails = [(i, message_from_bytes(raw.encode(), policy=policy.EmailPolicy())) for i, raw in json.load(sys.stdin)]
conn = checks.get_db()
for patch, found in checks.run_perpatch_checks(mails[1:], perpatch, ".").items():
    checks.store_results(conn, patch, found)
checks.store_results(conn, mails[0][0], checks.run_series_checks(mails[0], series, "."))
print(json.dumps([perpatch, series, checks.get_cached_results(conn, [i for i, _ in mails])]))
"""
"""As the screen of `b4 review` does it: load the commands from git's configuration, run them, keep what they say."""


def b4_checks(folder: Path, data: Path) -> dict[str, list[dict[str, str]]]:
    """What the real b4 knows of the series and its patches afterwards."""
    tree = folder / "linux"
    tree.mkdir()
    git(tree, "init", "-q")
    command = f"{sys.executable} -m reviewbot b4-check"
    git(tree, "config", "--add", "b4.review-series-check-cmd", f"{command} --series")
    git(tree, "config", "--add", "b4.review-perpatch-check-cmd", command)
    mails = [(i, mail(i, f"[PATCH {n}/3] x", diff("a")).decode()) for n, i in enumerate((COVER, *PATCHES))]
    own = {
        "REVIEWBOT_DATA": str(data),
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "xdg"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CHECKS],
        cwd=tree,
        input=json.dumps(mails),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, **own, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    perpatch, series, known = json.loads(done.stdout)
    assert (perpatch, series) == ([command], [f"{command} --series"])
    result: dict[str, Any] = known
    return result


def test_the_real_b4_keeps_what_we_say_of_the_series_and_of_each_patch(tmp_path: Path, data: Path) -> None:
    put(data, "20261103-000000-aaaa", reviewed(review_with_errors()))
    known = b4_checks(tmp_path, data)
    found = {i: {entry["tool"]: entry["status"] for entry in entries} for i, entries in known.items()}
    assert found == {
        COVER: {"reviewbot": "fail", "reviewbot/build": "fail", "reviewbot/review": "fail"},
        PATCHES[0]: {"reviewbot/build": "pass", "reviewbot/review": "fail"},
        PATCHES[1]: {"reviewbot/build": "fail", "reviewbot/review": "pass"},
        PATCHES[2]: {"reviewbot/build": "warn", "reviewbot/review": "pass"},
    }
    for patch in (COVER, *PATCHES):
        assert {e["tool"]: e for e in known[patch]} == ask(patch, *(["--series"] if patch == COVER else []))


def test_the_real_b4_keeps_nothing_while_nothing_is_known(tmp_path: Path, data: Path) -> None:
    assert b4_checks(tmp_path, data) == {}
