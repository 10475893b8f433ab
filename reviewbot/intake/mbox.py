# SPDX-License-Identifier: GPL-2.0-or-later
"""mbox files: reading whatever comes, writing what reads back the same."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot.intake.drafts import as_sent
from reviewbot.intake.errors import NotAnMbox
from reviewbot.model.errors import UsageError

MAX_BYTES = 64 << 20
"""A thread larger than this is no thread; the whole 200-mail posting is 0.3 MB without its diffs, 4 MB with them."""

# Patterns that start with a fixed text are searched for with memchr(3), ten times as fast as `^`.
_SUFFIXES = (".patch", ".mbox", ".mbx", ".eml")
"""Files of a folder that are read."""
_FROM = re.compile(rb"\nFrom [^\n]*\n(?=[A-Za-z][A-Za-z0-9-]*:|>From )")
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[^\n]*\n")
_MESSAGE_ID = re.compile(rb"^message-id:[^\n]*(\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_ID = re.compile(rb"<([^<>\s]{1,990})>")
_ESCAPED = re.compile(rb"\n>(>*From )")
_LEADING = re.compile(rb"\A(?:>+From [^\n]*\n)+")
_TO_ESCAPE = re.compile(rb"^(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mailbag:
    """Raw mails as they came, duplicates and all."""

    source: str
    """URL or path."""
    mails: tuple[bytes, ...]

    def has(self, message_id: str) -> bool:
        """Whether one of the mails calls itself so."""
        return any(f"<{message_id}>".encode() in _id_lines(raw) for raw in self.mails)

    def by_id(self) -> dict[str, bytes]:
        """Message-ID -> mail, in their order; those without one are left out."""
        ids = ((found[1].decode(errors="replace"), raw) for raw in self.mails if (found := _ID.search(_id_lines(raw))))
        return dict(ids)


def _id_lines(raw: bytes) -> bytes:
    found = _MESSAGE_ID.search(raw.split(b"\n\n", 1)[0])
    return found[0] if found else b""


def read_mbox(*paths: Path) -> Mailbag:
    """The mails of all paths: an mbox (any From_ quoting, also gzipped), a single mail, or a folder with such files.

    `-` is standard input. What `git format-patch` wrote gets Message-IDs. Raises NotAnMbox, UsageError.
    """
    mails = [mail for path in paths for file in _files(path) for mail in _split(_bytes_of(file), str(file))]
    return Mailbag(", ".join(str(path) for path in paths), as_sent(mails))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if not files:
        raise UsageError(f"{path}: no patches in this folder", hint=f"files named *{', *'.join(_SUFFIXES)} are read")
    return files


def _split(data: bytes, source: str) -> list[tuple[bytes, bytes]]:
    mails, why = _parted(data)
    if not mails:
        raise NotAnMbox(source, why)
    return mails


def _bytes_of(path: Path) -> bytes:
    try:
        with open(0, "rb", closefd=False) if str(path) == "-" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}", hint="--mbox needs a file with the thread, or a folder of patches"
        ) from error
    if len(data) > MAX_BYTES:
        raise NotAnMbox(str(path), f"it is larger than {MAX_BYTES >> 20} MiB")
    if data.startswith(b"\x1f\x8b"):
        return _gunzip(path, data)
    return data


def _gunzip(path: Path, data: bytes) -> bytes:
    try:
        plain = zlib.decompressobj(wbits=31).decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise NotAnMbox(str(path), f"broken gzip: {error}") from error
    if len(plain) > MAX_BYTES:
        raise NotAnMbox(str(path), f"it unpacks to more than {MAX_BYTES >> 20} MiB")
    return plain


def split_mbox(data: bytes) -> tuple[tuple[bytes, ...], str]:
    """The mails in it, and why there are none."""
    mails, why = _parted(data)
    return tuple(mail for _, mail in mails), why


def _parted(data: bytes) -> tuple[list[tuple[bytes, bytes]], str]:
    """The mails with their From_ lines, and why there are none."""
    data = _without_crlf(data)
    head = data[:4096].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return [], "it is a web page"
    data = b"\n" + data
    starts = [match.span() for match in _FROM.finditer(data)]
    if not starts:
        if _HEADER.match(data, 1) and b"\nmessage-id:" in data[: 1 << 16].lower():
            return [(b"", data[1:])], ""
        return [], "there is no mail in it" if data.strip() else "it is empty"
    ends = [start + 1 for start, _ in starts[1:]] + [len(data)]
    found = []
    for (start, begin), end in zip(starts, ends, strict=True):
        text = data[begin:end]
        # A mailbox puts an empty line between mails; it belongs to neither.
        text = text[:-1] if text.endswith(b"\n\n") else text
        text = _LEADING.sub(b"", _without_crlf(text))
        found.append((data[start + 1 : begin].rstrip(b"\n"), _ESCAPED.sub(rb"\n\1", text)))
    return found, ""


def _without_crlf(data: bytes) -> bytes:
    """A mail or mailbox that crossed the wire with CRLF at the end of each line; a few CRLF are content."""
    return data.replace(b"\r\n", b"\n") if data.count(b"\r\n") == data.count(b"\n") else data


def mbox_bytes(mails: Mapping[str, bytes]) -> bytes:
    """The mails as an mbox (mboxrd quoting), in the mapping's order; `read_mbox` gives them back."""
    parts = []
    for raw in mails.values():
        text = raw if raw.endswith(b"\n") else raw + b"\n"
        parts.append(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + _TO_ESCAPE.sub(rb">\1", text) + b"\n")
    return b"".join(parts)
