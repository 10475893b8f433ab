# SPDX-License-Identifier: GPL-2.0-or-later
"""A result and its logs as text, and what strangers make of that."""

import base64
import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.model.shard import ShardResult
from reviewbot.runner import parcel
from reviewbot.runner.parcel import BEGIN, END, BadParcel, is_ours, pack, unpack, unzip

RESULT = ShardResult(shard="0" * 32, run="20261129-120000-abcd")


def logs(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = folder / "fstests" / name / "output.txt"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return folder


def text_of(*members: tuple[str, bytes]) -> str:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return as_text(made.getvalue())


def as_text(data: bytes) -> str:
    return f"{BEGIN}\n{base64.encodebytes(data).decode()}{END}\n"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_what_was_packed_comes_out_whatever_was_printed_around_it(tmp_path: Path) -> None:
    text = pack(RESULT, logs(tmp_path / "logs", a=b"one", b=b"two\xff"))
    said = f"progress\n{text}more\n".replace("\n", "\r\n")
    path = unpack(said, tmp_path / "out")
    assert ShardResult.model_validate_json(path.read_bytes()) == RESULT
    assert (tmp_path / "out" / "result.logs" / "fstests" / "b" / "output.txt").read_bytes() == b"two\xff"


def test_logs_that_do_not_fit_are_left_out_and_the_result_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "LIMIT", 200_000)
    text = pack(RESULT, logs(tmp_path / "logs", small=b"x", large=os.urandom(300_000)))
    unpack(text, tmp_path / "out")
    assert len(text) < 300_000
    assert files(tmp_path / "out") == ["result.json", "result.logs/fstests/small/output.txt"]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "result.logs/../../x",
        "result.logs",
        "result.json/x",
        "x",
        "result.logs//x",
        "./result.json",
        "",
    ],
)
def test_names_that_lead_elsewhere_are_passed_over(tmp_path: Path, name: str) -> None:
    assert not is_ours(name)
    unpack(text_of(("result.json", b"{}"), (name or "y", b"evil")), tmp_path / "out")
    assert files(tmp_path) == ["out/result.json"]


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"result.logs/{kind.decode()}")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
    unpack(as_text(made.getvalue()), tmp_path / "out")
    assert files(tmp_path) == []


def test_what_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "_MOST", 1 << 20)
    with pytest.raises(BadParcel, match="too large"):
        unpack(text_of(("result.json", bytes(2 << 20))), tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("result.json", bytes(2 << 20))
    with pytest.raises(BadParcel, match="too large"):
        unzip(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("headers", [
    {"GNU.sparse.map": f"{8 << 40},0", "GNU.sparse.size": str(8 << 40)},
    {"comment": "1" * (1 << 20)},  # hours for tarfile to search
])  # fmt: skip
def test_what_none_of_our_workers_writes_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    made, entry = io.BytesIO(), tarfile.TarInfo("result.json")
    entry.pax_headers = headers
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(entry)
    with pytest.raises(BadParcel, match=r"reviewbot never writes|not packed as reviewbot"):
        unpack(as_text(made.getvalue()), tmp_path / "out")
    assert files(tmp_path) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_of_github_that_is_damaged_is_refused_however_it_was_packed(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("result.json", "words " * 3000)
    data = (tmp_path / "a.zip").read_bytes()
    for place in range(45, 60):  # where the packed content is
        (tmp_path / "b.zip").write_bytes(data[:place] + b"\xff\xff\xff" + data[place + 3 :])
        with pytest.raises(BadParcel):
            unzip(tmp_path / "b.zip", tmp_path / "out")


@given(st.one_of(st.text(), st.text("ABab01+/=\n").map(lambda text: f"{BEGIN}\n{text}\n{END}\n")))
def test_any_text_is_a_parcel_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    with pytest.raises(BadParcel):
        unpack(text, tmp_path_factory.getbasetemp() / "never")


@given(st.binary(max_size=2000))
def test_any_bytes_that_were_packed_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    try:
        unpack(as_text(gzip.compress(data)), tmp_path_factory.getbasetemp() / "some")
    except BadParcel as error:
        assert "\n" not in str(error)


def test_an_archive_of_github_is_unpacked_without_what_is_not_ours(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("result.json", "status", "result.logs/fstests/a/output.txt", "../evil", "other"):
            archive.writestr(name, name)
    unzip(tmp_path / "a.zip", tmp_path / "out")
    assert files(tmp_path / "out") == ["result.json", "result.logs/fstests/a/output.txt", "status"]
    assert not (tmp_path / "evil").exists()
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:-30])
    with pytest.raises(BadParcel):
        unzip(tmp_path / "b.zip", tmp_path / "out")
