# SPDX-License-Identifier: GPL-2.0-or-later
"""Other people's reviewers, good ones and bad ones, in the real sandbox."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import Reviewer
from reviewbot.host.sandbox import Sandbox
from reviewbot.model.review import ReviewFinding
from reviewbot.review.reviewers import OUTPUT, PATIENCE, Panel, parse
from tests.conftest import ROOT
from tests.host.test_sandbox import wait_until_gone
from tests.mails import diff, mail
from tests.review.trees import HOST

MAIL = mail("a@x", "[PATCH] fuse: do it", "body\n")


@pytest.fixture
def panel(tmp_path: Path) -> Panel:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    for name in ("head", "reviewer", "scratch"):
        (tmp_path / name).mkdir()
    (tmp_path / "head/a.c").write_text("int a;\n")
    return Panel(Sandbox(HOST), tmp_path / "scratch", tmp_path / "logs")


def ask(panel: Panel, script: str, *, timeout: float = 30, name: str = "rules") -> list[ReviewFinding]:
    """What a shell script in a folder says of MAIL."""
    folder = panel.scratch.parent
    (folder / "reviewer/rules.sh").write_text(script)
    reviewer = Reviewer(name=name, path=str(folder / "reviewer"), command=("sh", "/reviewer/rules.sh"), timeout=timeout)
    return panel.ask(reviewer, MAIL, folder / "head", "kernel")


def answer(**entry: object) -> str:
    return json.dumps([{"tool": "rules", "status": "warn", "summary": "s", "url": "", "details": "", **entry}])


def test_a_reviewer_reads_the_mail_and_the_patched_files(panel: Panel) -> None:
    script = (
        "s=$(sed -n 's/^Subject: //p'); echo to stderr >&2\n"
        """printf '[{"tool": "rules", "status": "%s", "summary": "%s %s %s", "url": "https://x.org/1", """
        """"details": "line 1\\\\nline 2"}]' fail "$s" "$(cat /src/a.c)" "$COMPONENT"\n"""
    )
    (found,) = ask(panel, script)
    assert (found.tool, found.severity, found.url, found.detail) == (
        "rules",
        "error",
        "https://x.org/1",
        "line 1\nline 2",
    )
    assert found.message == "[PATCH] fuse: do it int a; kernel"
    assert panel.skipped() == {} and (panel.logs / "rules.log").read_text() == "to stderr\n\n"


def test_a_program_by_itself_is_a_reviewer_too(panel: Panel) -> None:
    program = panel.scratch.parent / "check"
    program.write_text(f"#!/bin/sh\necho '{answer()}'\n")
    program.chmod(0o755)
    found = panel.ask(Reviewer(name="rules", path=str(program)), MAIL, panel.scratch.parent / "head", "kernel")
    assert [f.message for f in found] == ["s"]


def test_it_sees_no_network_and_writes_nowhere(panel: Panel) -> None:
    script = "for f in /src/x /reviewer/x /x; do touch $f 2>/dev/null && exit 9; done\n"
    script += "test $(tail -n +3 /proc/net/dev | wc -l) = 1 || exit 8\necho '[]'\n"
    assert ask(panel, script) == [] and panel.skipped() == {}


def test_the_documented_example_is_a_reviewer(panel: Panel) -> None:
    text = (ROOT / "docs/review-checks.md").read_text()
    folder = panel.scratch.parent
    (folder / "reviewer/rules.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    (folder / "head/a.c").write_text("\n" * 6000)
    reviewer = Reviewer(name="house-rules", path=str(folder / "reviewer"), command=("python3", "/reviewer/rules.py"))
    patch = diff("a.c", word="x = simple_strtoul(s, NULL, 0);")
    found = panel.ask(reviewer, mail("a@x", "[PATCH] do it", patch), folder / "head", "kernel")
    assert [(f.severity, f.message) for f in found] == [
        ("warning", "a.c has 6000 lines: time to split it?"),
        ("error", "simple_strtoul is obsolete: use kstrtoul"),
    ]
    assert panel.ask(reviewer, MAIL, folder / "head", "kernel") == [] and panel.skipped() == {}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "ended with status 3: no output"),
        ("echo no key >&2; exit 1", "ended with status 1: no key"),
        ("echo looks fine to me", "its output is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (r"printf '[\"\377\"]'", "its output is not UTF-8 at byte 3"),
        ('echo \'[{"status": "ok"}]\'', "its output has an entry whose status is not pass, warn or fail"),
        ("echo '[3]'", "its output has an entry whose status is not pass, warn or fail"),
        ("head -c 3000000 /dev/zero; exit 0", "its output is larger than 1 MiB"),
        ("yes '[' | tr -d '\\n' | head -c 200000", "its output is not JSON: maximum recursion depth exceeded"),
        ("/no/such/program", "ended with status 127: "),
    ],
)
def test_a_bad_answer_is_named_and_never_held_against_the_patch(panel: Panel, script: str, reason: str) -> None:
    assert ask(panel, script) == []
    assert panel.skipped()["rules"].startswith(reason)
    assert panel.skipped()["rules"].endswith("(no usable result for 1 of 1 mails)")


def test_a_reviewer_that_hangs_is_ended_with_its_children(panel: Panel) -> None:
    seconds = f"{200_000 + os.getpid()}.1"
    script = f"trap '' TERM; for n in 1 2 3; do setsid sleep {seconds} & done; sleep {seconds}"
    assert ask(panel, script, timeout=1) == []
    assert panel.skipped()["rules"].startswith("no result within 1 s")
    wait_until_gone(seconds)


def test_children_that_stay_behind_do_not_hold_the_answer(panel: Panel) -> None:
    seconds = f"{200_000 + os.getpid()}.2"
    script = f"for n in $(seq 50); do (sleep {seconds} &) ; done\necho '{answer()}'\n"
    assert [f.message for f in ask(panel, script)] == ["s"]
    wait_until_gone(seconds)


def test_a_reviewer_that_reads_nothing_may_answer(panel: Panel) -> None:
    reviewer = f"exec <&-\necho '{answer()}'\n"
    assert len(ask(panel, reviewer)) == 1


def test_one_that_fails_again_and_again_is_not_asked_again(panel: Panel) -> None:
    script = f"echo x >> /src/count; echo asked >&2; exit {PATIENCE}"
    for _ in range(PATIENCE + 4):
        ask(panel, script)
    assert panel.asked == {"rules": PATIENCE}
    assert panel.skipped()["rules"].endswith("(no usable result for 3 of 3 mails, not run again)")


def test_what_is_not_there_is_said(panel: Panel, tmp_path: Path) -> None:
    panel.ask(Reviewer(name="gone", path=str(tmp_path / "gone")), MAIL, tmp_path, "kernel")
    panel.ask(Reviewer(name="bare", path=str(tmp_path)), MAIL, tmp_path, "kernel")
    assert panel.skipped()["gone"].startswith(f"{tmp_path}/gone does not exist")
    assert panel.skipped()["bare"].startswith(f"{tmp_path} is a folder, and no command is set")


def test_b4s_own_forms_are_read() -> None:
    details = json.dumps([{"status": "fail", "description": "one"}, {"status": "warn", "description": "two"}])
    raw = answer(tool="inner", details=details, url="javascript:x", summary="a\nb\x1b[0m").encode()
    (found,), problem = parse(raw, 1, "", "outer")
    assert (found.tool, found.message, found.detail, found.url, problem) == (
        "outer",
        "inner: a b�[0m",
        "fail: one\nwarn: two",
        "",
        "",
    )
    assert parse(b'{"status": "pass"}', 0, "", "x") == ([], "") == parse(b" \n", 0, "", "x")


def test_it_cannot_speak_as_one_of_our_own_checks() -> None:
    assert parse(answer(tool="build").encode(), 0, "", "checkpatch")[0][0].tool == "checkpatch (external)"
    assert parse(answer(tool="build").encode(), 0, "", "x")[0][0].tool == "x"


def test_too_many_entries_are_cut() -> None:
    entries = [{"status": "warn", "summary": str(n)} for n in range(500)]
    found, problem = parse(json.dumps(entries).encode(), 0, "", "x")
    assert len(found) == 100 and problem == "its output has 500 entries; the first 100 were read"


@given(
    st.binary(max_size=200) | st.text(alphabet='[]{}",:0123tool status pass warn fail', max_size=200).map(str.encode)
)
def test_any_answer_is_survived(raw: bytes) -> None:
    found, problem = parse(raw, 0, "", "x")
    assert len(raw) <= OUTPUT and (problem or isinstance(found, list))


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tool", "status", "summary", "url", "details"]), inner, max_size=5)
    ),
)


@given(JSON)
def test_any_json_is_survived(value: object) -> None:
    parse(json.dumps(value).encode(), 0, "", "x")
    parse(
        json.dumps([{"status": "warn", "tool": value, "summary": value, "details": value, "url": value}]).encode(),
        0,
        "",
        "x",
    )
