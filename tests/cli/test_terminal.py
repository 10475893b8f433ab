# SPDX-License-Identifier: GPL-2.0-or-later
"""What strangers wrote commands no terminal: in a pipe, at a terminal, in progress, in errors."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reviewbot.cli import guard, terminal
from reviewbot.model.words import flat, one_line, plain
from reviewbot.report import summary_markdown
from tests.mails import mbox, posting
from tests.report.records import failing

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt\u2066\u200f\u061c\U000e0041"
COMMANDS = ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e", "\u2066", "\u200f", "\u061c", "\U000e0041")
ENCODED = b"=?utf-8?q?=1B]0;owned=07=1B[2J=C2=9B31m_=E2=80=AE?="


def hostile() -> list[bytes]:
    """A posting whose subjects and author command a terminal, once raw and once in encoded words."""
    return [
        m.replace(b"] ", b"] \x1b]0;owned\x07 ", 1).replace(b"From: ", b"From: " + ENCODED + b" ", 1) for m in posting()
    ]


def environment(folder: Path) -> dict[str, str]:
    (folder / "thread.mbox").write_bytes(mbox(hostile()))
    (folder / "site.yaml").write_text("archive: http://127.0.0.1:9/all\n")
    return {
        **os.environ,
        "REVIEWBOT_CACHE": str(folder / "cache"),
        "REVIEWBOT_DATA": str(folder / "data"),
        "REVIEWBOT_SITE": str(folder / "site.yaml"),
        "TERM": "xterm-256color",
    }


def harmless(said: str) -> bool:
    return not any(command in said for command in COMMANDS)


def at_terminal(words: list[str], folder: Path, **variables: str) -> bytes:
    """What a command says at a terminal."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reviewbot", *words], stdout=other, stderr=other, cwd=folder,
        stdin=subprocess.DEVNULL, env={**environment(folder), **variables},
    )  # fmt: skip
    os.close(other)
    said = b""
    try:
        while chunk := os.read(main, 1 << 16):
            said += chunk
    except OSError:
        pass  # the other end was closed
    process.wait(600)
    os.close(main)
    return said


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_plan_in_a_pipe_holds_no_terminal_command(more: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "plan", "--mbox", "thread.mbox", *more], capture_output=True, check=False,
        cwd=tmp_path, env=environment(tmp_path), timeout=600,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode()
    assert "owned" in said, "the words are there"
    assert harmless(said) and "\x1b" not in said


def test_a_plan_at_a_terminal_is_coloured_and_holds_no_command_of_the_mail(tmp_path: Path) -> None:
    said = at_terminal(["plan", "--mbox", "thread.mbox"], tmp_path)
    assert b"owned" in said and b"\x1b[1m" in said
    assert harmless(said.decode())


@pytest.mark.parametrize("words", [["plan", "--legs", "nosuch", "--mbox", "thread.mbox"], ["workflows"]])
def test_no_word_is_broken_at_the_edge_of_a_terminal(words: list[str], tmp_path: Path) -> None:
    said = at_terminal(words, tmp_path, COLUMNS="60")
    lines = [line.rstrip() for line in said.decode().replace("\r", "").splitlines()]
    assert len(lines) > 1 and max(map(len, lines)) <= 60
    piped = subprocess.run(
        [sys.executable, "-m", "reviewbot", *words], capture_output=True, check=False, cwd=tmp_path,
        env=environment(tmp_path), text=True, timeout=600,
    )  # fmt: skip
    assert " ".join(" ".join(lines).split()) == " ".join((piped.stdout + piped.stderr).split())


def test_errors_and_echoed_text_are_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    with guard.guarded():
        click.echo(f"a{EVIL}b\n\tc")
        click.echo(f"error {EVIL}", err=True)
        sys.stdout.writelines([EVIL])
    said = capsys.readouterr()
    assert said.out.startswith("a\N{REPLACEMENT CHARACTER}") and "b\n\tc\n" in said.out
    assert harmless(said.out) and harmless(said.err)


def test_styles_pass_and_commands_in_text_tables_and_live_blocks_do_not() -> None:
    out = io.StringIO()
    console = terminal.console()
    console.file = out
    console._force_terminal = True
    table = Table("head")
    table.add_row(EVIL)
    with Live(terminal.Harmless(Text(EVIL)), console=console, refresh_per_second=4):
        console.print(Text(f"red {EVIL}", style="red"))
        console.print(table)
    said = out.getvalue()
    assert "red" in said and "head" in said
    assert harmless(said)


def test_a_reader_that_has_gone_is_told_apart_from_a_socket_that_broke() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        stream = guard._Guard(gone)
        stream.write("x" * 10)
        with pytest.raises(guard.ReaderGone):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), gone.fileno())  # so that it can be closed


@given(st.text())
def test_filtered_text_has_no_control_characters_and_flat_text_is_one_line(text: str) -> None:
    assert all(c in "\n\t" or (c.isprintable() or ord(c) > 0x9F) for c in plain(text))
    assert len(flat(text).splitlines()) <= 1
    assert "\n" not in one_line(text)


LONG = "https://git.example.org/" + "x" * 120


def test_a_pipe_gets_one_line_per_line_and_no_padding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = terminal.console()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("libfuse", LONG)
    table.add_row("kernel", "short")
    console.print(table)
    terminal.say(console, f"note: {'words ' * 40}{LONG}", indent=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"libfuse  {LONG}", "kernel   short"]
    assert lines[2].endswith(LONG) and len(lines) == 3


def test_a_terminal_gets_words_whole_and_links_unbroken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = "whether a failure is new is not yet known, " * 5
    terminal.say(terminal.console(), f"note: {words} {LONG}\nnot a line of its own", indent=2)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("  ") and (len(line) <= 80 or LONG in line) for line in lines)
    said = {word for line in lines for word in line.split()}
    assert said == {"note:", *words.split(), LONG, *["not", "a", "line", "of", "its", "own"]}


def test_a_report_at_a_terminal_is_not_escaped_markdown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    terminal.markdown(summary_markdown(failing()))
    said = capsys.readouterr().out
    assert "[PATCHSET v3] fuse: faster rename, and what libext2fs_rename() needs" in " ".join(said.split())
    assert "fuse2fs smoke/rename FAIL: content: got 'a', expected 'b' in dir_1/<new>" in said
    assert "\\" not in said and "<details>" not in said and "&lt;" not in said and "<!--" not in said
