# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept of a console that says more than there is room for."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.lab.recorder import EXCERPT, Recorder

LINE = re.compile(rb"\n\[reviewbot left out (\d+) bytes here\]\n")


@dataclass
class Said:
    """A recorder, and who speaks."""

    recorder: Recorder
    pipe: int

    def say(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.pipe, data[:4096]) :]
            self.recorder.pump()

    @property
    def kept(self) -> bytes:
        return self.recorder.path.read_bytes()


@contextmanager
def said(folder: Path, head: int, tail: int) -> Iterator[Said]:
    ours, theirs = os.pipe()
    recorder = Recorder(folder / "console.log", head, tail)
    with recorder.from_pipe(ours), os.fdopen(theirs, "wb", closefd=True):
        yield Said(recorder, theirs)


PIECES = st.lists(st.binary(min_size=1, max_size=300).map(lambda data: data.replace(b"\n", b".")), max_size=40)


@given(PIECES, st.integers(0, 200), st.integers(1, 200))
def test_the_beginning_and_the_end_are_kept_and_the_size_is_bounded(pieces: list[bytes], head: int, tail: int) -> None:
    whole = b"".join(pieces)
    with TemporaryDirectory() as name, said(Path(name), head, tail) as guest:
        for piece in pieces:
            guest.say(piece)
            assert len(LINE.sub(b"", guest.kept)) <= head + 2 * tail
        if len(whole) <= head + 2 * tail:
            assert guest.kept == whole and guest.recorder.left_out == 0
            return
        found = LINE.search(guest.kept)
        assert found and int(found[1]) == guest.recorder.left_out
        first, last = guest.kept[: found.start()], guest.kept[found.end() :]
        assert first == whole[:head] and len(last) >= tail and whole.endswith(last)
        assert len(first) + len(last) + guest.recorder.left_out == len(whole) == guest.recorder.seen


def test_what_was_said_since_a_mark_does_not_depend_on_what_was_left_out(tmp_path: Path) -> None:
    with said(tmp_path, 100, EXCERPT) as guest:
        guest.say(b"x" * (5 * EXCERPT))
        mark = guest.recorder.seen
        guest.say(b"panic\r\n")
        assert guest.recorder.left_out > 0 and guest.recorder.since(mark) == "panic\n"
        assert guest.recorder.since(guest.recorder.seen) == ""
        assert len(guest.recorder.since(0)) <= EXCERPT and guest.recorder.since(0).endswith("xpanic\n")


def test_what_was_said_before_the_other_end_was_closed_is_not_lost(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    recorder = Recorder(tmp_path / "console.log")
    with recorder.from_pipe(ours):
        os.write(theirs, b"last words")
        os.close(theirs)
    assert recorder.over and (tmp_path / "console.log").read_bytes() == b"last words"


def test_a_full_disk_is_remembered_and_the_guest_is_not_held_up(small_disk: Path) -> None:
    with said(small_disk, 16 << 20, 16 << 20) as guest:
        guest.say(bytes(8 << 20))
        assert guest.recorder.error is not None and guest.recorder.error.strerror == "No space left on device"
        assert guest.recorder.seen == 8 << 20


@pytest.mark.parametrize("text", [b"\x1b]0;title\x07\x9bm", b"\xff\xfe\x00"])
def test_what_a_terminal_would_obey_is_no_text(tmp_path: Path, text: bytes) -> None:
    with said(tmp_path, 100, 100) as guest:
        guest.say(text)
        assert all(c == "\N{REPLACEMENT CHARACTER}" or c.isprintable() for c in guest.recorder.since(0))
