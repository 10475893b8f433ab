# SPDX-License-Identifier: GPL-2.0-or-later
"""Archives of a guest: its files land in the folders of their steps, or are refused and counted."""

import io
import re
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.lab.channel import unpack, unpack_disk

STEP = "fstests/generic/001"


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


def test_an_empty_or_missing_disk_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(bytes(4096))
    for name in ("empty", "absent"):
        assert unpack_disk(tmp_path / name, tmp_path / "logs", frozenset({STEP})) == 0
