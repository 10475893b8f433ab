# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a guest says, however it is cut, is counted and never raised."""

import asyncio
import json
import math
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.lab import channel
from reviewbot.lab.channel import Frames, Lines, facts, number, text
from reviewbot.lab.ports import Files
from reviewbot.model.lab import JobReply
from tests.lab.test_archives import STEP, below, tar

NONCE = "5e" * 16

WORDS = st.one_of(
    st.dictionaries(st.text(), st.text() | st.integers() | st.none()).map(lambda m: {**m, "nonce": NONCE}),
    st.dictionaries(st.text(), st.integers()),
    st.lists(st.integers()),
).map(lambda words: json.dumps(words).encode())
LINES = st.lists(WORDS | st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")) | st.just(b"x" * 90))
CUTS = st.lists(st.integers(min_value=1, max_value=60))


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@pytest.fixture
def short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_LINE", 64)


@given(LINES, CUTS)
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "MAX_LINE", 80)
        data = b"".join(line + b"\n" for line in lines)
        whole, pieces = Lines(NONCE), Lines(NONCE)
        expected = whole.feed(data)
        assert [message for piece in cut(data, sizes) for message in pieces.feed(piece)] == expected
        assert pieces.strange == whole.strange
        assert len(expected) + whole.strange == sum(bool(line.strip()) for line in lines)


def frame(step: object, content: bytes, **other: object) -> bytes:
    return json.dumps({"nonce": NONCE, "step": step, "size": len(content), **other}).encode() + b"\n" + content


@given(
    st.lists(st.binary(max_size=200).map(lambda b: frame(STEP, b)) | st.just(b"noise\n") | st.just(b"x" * 200)), CUTS
)
def test_frames_are_the_same_however_they_are_cut(frames: list[bytes], sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "MAX_LINE", 150)
        data = b"".join(frames) + b"\n"
        whole, pieces = Frames(NONCE), Frames(NONCE)
        expected = whole.feed(data)
        assert [found for piece in cut(data, sizes) for found in pieces.feed(piece)] == expected
        assert pieces.strange == whole.strange


@given(st.lists(st.binary(max_size=300)))
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    lines, frames = Lines(NONCE), Frames(NONCE)
    for piece in pieces:
        assert lines.feed(piece) == []
        assert frames.feed(piece) == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"nonce": "another", "t": "done"}', b'{"t": "done"}', b"[1]", b'"word"', b"null", b"{broken", b"\xff\xfe",
        b"[" * 100_000, b"9" * 5000, b'{"nonce": ["' + NONCE.encode() + b'"]}', b'{"nonce": null}',
    ],
)  # fmt: skip
def test_what_is_no_message_of_this_job_is_counted(line: bytes) -> None:
    lines = Lines(NONCE)
    assert lines.feed(line + b"\n" + json.dumps({"nonce": NONCE, "t": "done"}).encode() + b"\n") == [
        {"nonce": NONCE, "t": "done"}
    ]
    assert lines.strange == 1


def test_bytes_that_are_not_utf8_do_not_cost_the_message() -> None:
    lines = Lines(NONCE)
    (message,) = lines.feed(b'{"nonce": "' + NONCE.encode() + b'", "output": "a\xffb"}\n')
    assert message["output"] == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.usefixtures("short_lines")
def test_the_end_of_a_line_that_is_too_long_is_no_message() -> None:
    lines, frames = Lines(NONCE), Frames(NONCE)
    for reader in (lines, frames):
        reader.feed(b"x" * 100)
        reader.feed(b"x" * 100)
        assert reader.feed(frame(STEP, b"")) == []
        assert reader.strange == 1
    assert (lines.rest, bytes(frames.buffer)) == (b"", b"")


def test_a_long_line_without_an_end_is_not_kept_in_memory() -> None:
    lines, frames = Lines(NONCE), Frames(NONCE)
    for _ in range(40):
        lines.feed(bytes(1 << 16))
        frames.feed(bytes(1 << 16))
    assert len(lines.rest) <= channel.MAX_LINE
    assert len(frames.buffer) <= channel.MAX_LINE
    assert (lines.strange, frames.strange) == (1, 1)


@pytest.mark.parametrize("size", [-1, channel.MAX_FILES + 1, 10**30, 1.5, "7", None])
def test_a_header_with_a_size_that_cannot_be_is_counted(size: object) -> None:
    frames = Frames(NONCE)
    assert frames.feed(frame(STEP, b"", size=size) + frame(STEP, b"abc")) == [(STEP, b"abc")]
    assert frames.strange == 1


def test_a_header_that_lies_spoils_what_follows_and_no_more() -> None:
    frames = Frames(NONCE)
    assert frames.feed(frame(STEP, b"abc\n", size=2) + frame(STEP, b"next")) == [(STEP, b"ab"), (STEP, b"next")]
    assert frames.feed(frame(7, b"") + frame(STEP, b"", size=1000)) == []
    assert frames.feed(b"x" * 999) == []
    assert [len(content) for _, content in frames.feed(b"x")] == [1000]
    assert frames.strange == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(st.characters(codec=None)), JSON))
def test_text_number_and_facts_of_anything(message: dict[str, Any]) -> None:
    for key in (*message, "absent"):
        said = text(message, key)
        said.encode()
        assert all(c in "\n\t" or c.isprintable() for c in said)
        assert math.isfinite(number(message, key))
    reply = JobReply(name="job", complete=True, hello=facts(message))
    assert JobReply.model_validate_json(reply.model_dump_json()) == reply


def test_text_keeps_the_end_and_drops_what_a_terminal_would_obey() -> None:
    assert text({"a": "\x1b[31mred\x00\ud800\n"}, "a") == "?[31mred??\n".replace("?", "\N{REPLACEMENT CHARACTER}")
    assert text({"a": "x" * 10 + "end"}, "a", limit=3) == "end"
    assert text({"a": 7}, "a") == ""


@pytest.mark.parametrize("value", [True, None, "1", [], math.nan, math.inf, -math.inf, 10**400])
def test_what_is_no_finite_number_is_zero(value: object) -> None:
    assert number({"a": value}, "a") == 0.0


def test_facts_leave_out_what_is_the_channels_own() -> None:
    assert facts({"t": "hello", "nonce": NONCE, "cpus": 2, "kernel_release": "7.1", "load": [1]}) == {
        "cpus": 2,
        "kernel_release": "7.1",
    }


def test_files_of_a_step_that_the_job_does_not_have_are_refused(tmp_path: Path) -> None:
    async def receive() -> tuple[int, set[str]]:
        host, guest = socket.socketpair()
        with guest:
            files = Files(*await asyncio.open_connection(sock=host), NONCE, {STEP: tmp_path})
            other = tar(("fuse2fs-fstests/qemu.log/x", b"x"))
            guest.sendall(frame("fuse2fs-fstests", other) + frame(STEP, tar((f"{STEP}/x", b"x"))))
            await files.arrived(STEP, 1)
            files.close()
            return files.refused, set(files.seen)

    assert asyncio.run(receive()) == (1, {STEP})
    assert below(tmp_path) == {f"{STEP}/x": b"x"}
