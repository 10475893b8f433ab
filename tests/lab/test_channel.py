# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a guest says, however it is cut, is counted and never raised."""

import asyncio
import io
import json
import math
import re
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.lab import channel
from reviewbot.lab.channel import Frames, Lines, facts, number, text, unpack, unpack_disk
from reviewbot.lab.ports import Files
from reviewbot.model.lab import JobReply

NONCE = "5e" * 16
STEP = "fstests/generic/001"

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


def tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as file:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                file.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                file.addfile(info, io.BytesIO(member[1]))
    return archive.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def below(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_files_of_a_step_are_unpacked(tmp_path: Path) -> None:
    assert unpack(tar((f"{STEP}/001/001.full", b"full"), (f"{STEP}/001.out.bad", b"")), tmp_path, STEP) == 0
    assert below(tmp_path) == {f"{STEP}/001/001.full": b"full", f"{STEP}/001.out.bad": b""}


@pytest.mark.parametrize(
    "member",
    [
        ("/etc/passwd", b"x"), (f"/{STEP}/x", b"x"), ("../x", b"x"), (f"{STEP}/../002/x", b"x"), ("x", b"x"),
        ("fstests/generic/002/x", b"x"), (f"{STEP}x/x", b"x"), (f"{STEP}/../../../../x", b"x"), (STEP, b"x"),
        (f"{STEP}/output.txt", b"x"), (f"{STEP}/dmesg.txt/x", b"x"), (f"{STEP}/" + "long/" * 1500 + "x", b"x"),
        (f"{STEP}/" + "d/" * 100 + "x", b"x"),
        special(f"{STEP}/link", tarfile.SYMTYPE, "/etc"), special(f"{STEP}/hard", tarfile.LNKTYPE, f"{STEP}/good"),
        special(f"{STEP}/null", tarfile.CHRTYPE), special(f"{STEP}/disk", tarfile.BLKTYPE),
        special(f"{STEP}/pipe", tarfile.FIFOTYPE), special(f"{STEP}/folder", tarfile.DIRTYPE),
    ],
)  # fmt: skip
def test_a_member_that_is_no_plain_file_of_its_step_is_refused_alone(
    tmp_path: Path, member: tarfile.TarInfo | tuple[str, bytes]
) -> None:
    folder = tmp_path / "logs"
    assert unpack(tar((f"{STEP}/good", b"1"), member, (f"{STEP}/last", b"2")), folder, STEP) == 1
    assert below(tmp_path) == {f"logs/{STEP}/good": b"1", f"logs/{STEP}/last": b"2"}


@pytest.mark.parametrize("step", ["", ".", "/", "..", "../up"])
def test_a_step_without_a_folder_of_its_own_has_no_files(tmp_path: Path, step: str) -> None:
    assert unpack(tar(("x", b"x"), ("../x", b"x"), ("../up/x", b"x"), ("/x", b"x")), tmp_path / "logs", step) == 4
    assert below(tmp_path) == {}


def test_a_file_in_place_of_the_steps_folder_is_refused(tmp_path: Path) -> None:
    assert unpack(tar((STEP, b"x")), tmp_path, STEP) == 1
    assert below(tmp_path) == {}


def test_a_name_that_is_taken_costs_only_its_file(tmp_path: Path) -> None:
    good = (f"{STEP}/last", b"2")
    assert unpack(tar((f"{STEP}/last/below", b"x"), good), tmp_path, STEP) == 1
    assert below(tmp_path) == {f"{STEP}/last/below": b"x"}


NAMES = (
    "a\nb",
    "\x1b[2J",
    "a:b",
    'q"',
    "x?",
    "a|b",
    "back\\slash",
    "end.",
    "end ",
    "con",
    "NUL.txt",
    "\N{SNOWMAN}" * 200,
    "~",
    "\u202egnp.exe",
    "\udcff",
)


def test_every_name_of_a_guest_becomes_one_that_file_systems_and_uploaders_take(tmp_path: Path) -> None:
    names = [*NAMES, *(f"folder {name}/x" for name in NAMES)]
    archive = tar(*((f"{STEP}/{name}", name.encode(errors="surrogateescape")) for name in names))
    assert unpack(archive, tmp_path, STEP) == 0
    (tmp_path / "disk").write_bytes(archive)
    assert unpack_disk(tmp_path / "disk", tmp_path / "rescued", frozenset({STEP})) == len(names)
    for folder in (tmp_path / STEP, tmp_path / "rescued" / STEP):
        found = below(folder)
        assert sorted(found.values()) == sorted(name.encode(errors="surrogateescape") for name in names)
        for part in (part for name in found for part in name.split("/")):
            assert re.fullmatch(r"[A-Za-z0-9._+=,@~#%-][A-Za-z0-9._+=,@~#% -]*(?<![. ])", part) and len(part) <= 200
            assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", part)


def test_ordinary_names_stay_as_they_are(tmp_path: Path) -> None:
    names = ("001.full", "001.out.bad", "dmesg", "#obj#fs#fuse#dir.gcda", "a/b-c_d.e+f", "core.1234")
    assert unpack(tar(*((f"{STEP}/{name}", b"x") for name in names)), tmp_path, STEP) == 0
    assert set(below(tmp_path / STEP)) == set(names)


PARTS = st.sampled_from(["..", ".", "", "/", STEP, "fstests", "a", "output.txt", "\N{SNOWMAN}" * 90]) | st.text()


@given(st.lists(st.lists(PARTS, min_size=1).map("/".join), max_size=5), st.sampled_from([STEP, "", "..", "a"]))
def test_nothing_is_ever_written_outside_the_steps_folder(names: list[str], step: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "logs"
        unpack(tar(*((name, b"x") for name in names if "\x00" not in name)), folder, step)
        if step in ("", ".."):
            assert below(Path(name)) == {}
        assert all(found.startswith(f"logs/{step}/") for found in below(Path(name)))


@given(st.integers(min_value=0, max_value=5000))
def test_a_truncated_archive_keeps_its_whole_files(length: int) -> None:
    files = {f"{STEP}/{number}": bytes([number]) * 700 for number in range(3)}
    with TemporaryDirectory() as name:
        refused = unpack(tar(*files.items())[:length], Path(name), STEP)
        assert below(Path(name)).items() <= files.items()
        assert len(below(Path(name))) == min(length // 1536 + (length % 1536 >= 512 + 700), 3)
        assert refused <= 1


@given(st.binary(max_size=2000))
def test_no_archive_raises(data: bytes) -> None:
    with TemporaryDirectory() as name:
        assert unpack(data, Path(name), STEP) <= 1
        assert below(Path(name)) == {}


def patched(archive: bytes, offset: int, field: bytes) -> bytes:
    """A tar header with one field changed and its checksum put right."""
    header = bytearray(archive[:512])
    header[offset : offset + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + archive[512:]


@pytest.mark.parametrize("size", [-1024, -512, 1 << 60, 1 << 87])
@pytest.mark.timeout(20)
def test_a_size_that_cannot_be_ends_the_archive(tmp_path: Path, size: int) -> None:
    field = (size & ((1 << 96) - 1)).to_bytes(12, "big")
    archive = patched(tar((f"{STEP}/x", b"x")), 124, bytes([field[0] | 0x80]) + field[1:])
    assert unpack(archive, tmp_path, STEP) >= 1
    (tmp_path / "disk").write_bytes(archive)
    assert unpack_disk(tmp_path / "disk", tmp_path / "logs", frozenset({STEP})) == 0


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    """Old GNU format: 512 bytes that stand for a hole of 8 GiB less one."""
    archive = patched(tar((f"{STEP}/x", b"")), 483, b"%011o\0" % ((1 << 33) - 1))
    archive = patched(archive, 257, b"ustar  \0")
    archive = patched(archive, 156, b"S")
    assert unpack(archive, tmp_path, STEP) == 1
    assert below(tmp_path) == {}


def test_headers_that_announce_headers_for_ever_are_refused(tmp_path: Path) -> None:
    link = special("././@LongLink", tarfile.GNUTYPE_LONGNAME).tobuf(tarfile.GNU_FORMAT)
    assert unpack(link * 3000, tmp_path, STEP) == 1


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE])
def test_an_extended_header_is_refused_before_it_is_searched(tmp_path: Path, kind: bytes) -> None:
    """Searching a megabyte of digits takes tarfile hours (CVE-2024-6232)."""
    header = special("x", kind)
    header.size = 1 << 20
    archive = header.tobuf(tarfile.USTAR_FORMAT) + b"1" * header.size + tar((f"{STEP}/good", b"1"))
    assert unpack(archive, tmp_path, STEP) == 1
    (tmp_path / "disk").write_bytes(archive)
    assert unpack_disk(tmp_path / "disk", tmp_path / "rescued", frozenset({STEP})) == 0


def test_a_results_disk_gives_what_the_machine_had_collected(tmp_path: Path) -> None:
    disk = tmp_path / "results.img"
    one = tar(("smoke/fio/server.log", b"one"))[:1024]
    two = tar(("smoke/stress/server.log", b"two"), ("smoke/unknown/x", b"x"), ("smoke/fio/../../x", b"x"))
    disk.write_bytes(one + two + bytes(1 << 20))
    logs = tmp_path / "logs"
    assert unpack_disk(disk, logs, frozenset({"smoke/fio", "smoke/stress"})) == 2
    assert below(logs) == {"smoke/fio/server.log": b"one", "smoke/stress/server.log": b"two"}


def test_a_results_disk_never_replaces_what_came_by_the_port(tmp_path: Path) -> None:
    disk = tmp_path / "results.img"
    disk.write_bytes(tar((f"{STEP}/log", b"disk"), (f"{STEP}/log/below", b"x"), (f"{STEP}/more", b"disk")))
    (tmp_path / STEP).mkdir(parents=True)
    (tmp_path / STEP / "log").write_bytes(b"port")
    assert unpack_disk(disk, tmp_path, frozenset({STEP})) == 1
    assert (tmp_path / STEP / "log").read_bytes() == b"port"
    assert (tmp_path / STEP / "more").read_bytes() == b"disk"


@given(st.integers(min_value=0, max_value=5000))
def test_a_truncated_disk_keeps_its_whole_files(length: int) -> None:
    files = {f"{STEP}/{number}": bytes([number]) * 700 for number in range(3)}
    with TemporaryDirectory() as name:
        disk, logs = Path(name) / "disk", Path(name) / "logs"
        disk.write_bytes(tar(*files.items())[:length])
        count = unpack_disk(disk, logs, frozenset({STEP}))
        assert below(logs).items() <= files.items()
        assert count == len(below(logs)) == min(length // 1536 + (length % 1536 >= 512 + 700), 3)


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


def test_an_empty_or_missing_disk_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(bytes(4096))
    for name in ("empty", "absent"):
        assert unpack_disk(tmp_path / name, tmp_path / "logs", frozenset({STEP})) == 0
