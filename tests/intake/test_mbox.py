# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a user calls an mbox."""

import gzip
import os
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.intake import NotAnMbox, read_mbox, split
from reviewbot.intake.mbox import MAX_BYTES, mbox_bytes
from reviewbot.model.errors import UsageError
from tests.mails import mail, mbox, posting


def write(folder: Path, data: bytes) -> Path:
    path = folder / "thread.mbox"
    path.write_bytes(data)
    return path


def test_plain_gzipped_and_crlf_mboxes_are_the_same(tmp_path: Path) -> None:
    data = mbox(posting())
    found = [read_mbox(write(tmp_path, d)).mails for d in (data, gzip.compress(data), data.replace(b"\n", b"\r\n"))]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 10


def test_a_second_from_line_above_the_headers_is_none_of_the_mail(tmp_path: Path) -> None:
    text = mail("a@x", "[PATCH] x")
    data = b"From a@x Mon Nov  2 09:00:00 2026\n>From b@x Mon Nov  2 09:00:00 2026\n" + text
    assert read_mbox(write(tmp_path, data)).mails == (text,)


def test_a_few_crlf_are_content(tmp_path: Path) -> None:
    text = mail("a@x", "[PATCH] x", "one\r\ntwo\n")
    assert read_mbox(write(tmp_path, mbox([text, mail("b@x", "y")]))).mails[0] == text


def test_a_single_mail_without_a_from_line(tmp_path: Path) -> None:
    assert len(read_mbox(write(tmp_path, mail("a@x", "[PATCH] x"))).mails) == 1


def test_from_lines_inside_mails_survive(tmp_path: Path) -> None:
    text = mail("a@x", "x", "Hi\n\nFrom here on\n>From quoted\n")
    assert read_mbox(write(tmp_path, mbox_bytes({"a@x": text}))).mails == (text,)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><title>404</title></html>", "web page"),
        (b"\x1f\x8b junk", "gzip"),
        (os.urandom(4096), "no mail"),
        (b"From the start this is prose.\n\nNothing more.\n", "no mail"),
    ],
)
def test_what_is_no_mbox_is_told_in_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(NotAnMbox, match=words) as caught:
        read_mbox(write(tmp_path, data))
    assert "\n" not in str(caught.value)


def test_a_hundred_megabytes_of_junk(tmp_path: Path) -> None:
    path = tmp_path / "junk"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(NotAnMbox, match=f"larger than {MAX_BYTES >> 20} MiB"):
        read_mbox(path)
    path.write_bytes(gzip.compress(bytes(100 << 20)))
    with pytest.raises(NotAnMbox, match="unpacks to more"):
        read_mbox(path)


def test_sixty_megabytes_of_random_lines_are_no_mail(tmp_path: Path) -> None:
    line = os.urandom(1000).replace(b"\n", b" ") + b"\nFrom nowhere\n"
    with pytest.raises(NotAnMbox, match="no mail"):
        read_mbox(write(tmp_path, line * 60_000))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_mbox(tmp_path / "absent")


def test_broken_encodings_cost_nothing_but_letters(tmp_path: Path) -> None:
    mails = posting()
    mails[3] = (
        mails[3]
        .replace(b"From: A Developer", b"From: =?utf-8?q?J=FCrgen?= \xff\xfe")
        .replace(b'charset="utf-8"', b'charset="no-such-charset"')
    )
    mails[4] = mails[4].replace(b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding: qp?")
    mails[5] = mails[5].replace(b"Do it.", b"Do \xe9\xff\x00 it.")
    found = split(read_mbox(write(tmp_path, mbox(mails))), None, load_stack())
    assert [len(part.patches) for part in found.posting.parts] == [2, 2, 2]
