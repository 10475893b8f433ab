# SPDX-License-Identifier: GPL-2.0-or-later
"""The patch in a mail as `git am` will take it out, so that what is announced is what is applied.

`git am` reads the raw mail itself, and not as a mail reader does: it joins all MIME parts whatever their type, does
not convert the charset of a diff, and undoes format=flowed. Ordinary mails are read here; for all others git is asked,
and where git and a reader would see different patches, the patch is in trouble.
"""

import contextlib
import email
import email.policy
import re
import tempfile
from email.message import Message
from pathlib import Path

from reviewbot.host.git import CLEAN
from reviewbot.host.process import CommandTimeout, run
from reviewbot.intake.gitapply import PatchText, read_patch
from reviewbot.model.mails import why_strange

_MAILINFO_TIME = 60.0
_HEADERS = re.compile(rb"(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+\n")
_BREAK = re.compile(rb"^(?:diff -|Index: |--- [^ \t\n\r\v\f]|---[ \t\r\v\f]*$)", re.MULTILINE)
_ASCII = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
_SINGLE_BYTE = re.compile(r"(iso-?8859-\d+|latin-?\d|windows-125\d|cp125\d)$")
_BASE64 = re.compile(
    rb"(?:(?:[A-Za-z0-9+/]{4})+\n)*(?:(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)\n?)?\n*"
)
_QUOTED = re.compile(rb"(?:[^=\n]|=[0-9A-F]{2}|=\n|\n)*")


def patch_in(message: Message, raw: bytes, *, ask: bool = True) -> PatchText:
    """What `git am` would apply of this mail, and what is wrong with it. Never raises for what a mail says.

    ask: whether git may be asked, which costs a process; without it an odd mail is read as well as it goes.
    """
    if why := why_strange(raw):
        return PatchText(trouble=why, cut=True)
    if b"\r\n" not in raw:
        return _patch_in(message, raw, ask=ask)
    # Before anything else git am drops a CR at the end of each line of a mail, also where it is content.
    bare = raw.replace(b"\r\n", b"\n")
    patch = _patch_in(email.message_from_bytes(bare, policy=email.policy.compat32), bare, ask=ask)
    uniform = raw.count(b"\r\n") == raw.count(b"\n")  # of the wire, not of the file
    if uniform or patch.trouble or not re.search(rb"^[ +-][^\n]*\r\n", _from_break(raw), re.MULTILINE):
        return patch
    return PatchText(patch.paths, patch.text, "its diff has unencoded CRLF line endings: git am drops them")


def _patch_in(message: Message, raw: bytes, *, ask: bool) -> PatchText:
    plain = _ordinary(message, raw)
    if plain is not None:
        return _judged(plain, message)
    seen = _as_read(message)
    shown = read_patch(_text(_from_break(seen)))
    if not ask:
        return shown
    taken, why = _mailinfo(raw)
    if taken is None:
        return PatchText(shown.paths, shown.text, why) if shown.paths else PatchText()
    patch = _judged(taken, message)
    if patch.trouble or patch.text == shown.text:
        return patch
    if not patch.paths and not shown.paths:
        return patch
    return PatchText(patch.paths or shown.paths, patch.text, _difference(message))


def _judged(taken: bytes, message: Message) -> PatchText:
    if _ends_in_cr(taken):
        # What RFC 2045 asks of encoded text; `git am --quoted-cr=strip` takes these away, as b4 does.
        taken = taken.replace(b"\r\n", b"\n")
    patch = read_patch(_text(taken))
    if patch.trouble:
        return patch
    charset = _charset(message)
    content = patch.text.encode(errors="surrogateescape")
    if charset not in _ASCII and not content.isascii() and not (_SINGLE_BYTE.match(charset) and _is_utf8(content)):
        why = f"its diff has characters in charset {charset[:40]}, which git am would not turn into UTF-8"
        return PatchText(patch.paths, patch.text, why)
    return patch


def _difference(message: Message) -> str:
    """Why git takes another patch than a reader sees, as far as it can be told."""
    types = {part.get_content_type() for part in message.walk()}
    if _flowed(message):
        return "it was sent as format=flowed, which joined or stripped lines of its diff"
    if "text/html" in types:
        return "it has an HTML part with a diff, which git am would apply too"
    if _charset(message) not in _ASCII:
        return f"git am cannot read a diff in charset {_charset(message)[:40]}"
    return "git am would extract a different diff than a mail reader shows"


def _ordinary(message: Message, raw: bytes) -> bytes | None:
    """The patch of a mail that everybody reads alike, from its first line on; None if it is not such a mail."""
    head = _HEADERS.match(raw)
    if head is None or message.is_multipart() or message.defects:
        return None
    types, encodings = message.get_all("content-type", []), message.get_all("content-transfer-encoding", [])
    kind = str(types[0]).lower() if types else "text/plain"
    if len(types) > 1 or len(encodings) > 1 or "boundary" in kind or "flowed" in kind:
        return None
    if message.get_content_type() != "text/plain" or _charset(message) not in _ASCII:
        return None
    body = raw[head.end() :]
    match str(encodings[0]).strip().lower() if encodings else "":
        case "" | "7bit" | "8bit" | "binary":
            return _from_break(body)
        case "quoted-printable" if _QUOTED.fullmatch(body):
            return _from_break(_decoded(message))
        case "base64" if _BASE64.fullmatch(body):
            return _from_break(_decoded(message))
    return None


def _decoded(part: Message) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        return b""
    return payload if isinstance(payload, bytes) else b""


def _as_read(message: Message) -> bytes:
    """All parts that a reader would show or save as a patch, in UTF-8."""
    texts = []
    for part in message.walk():
        if part.is_multipart() or part.get_content_type() == "text/html":
            continue
        data, charset = _decoded(part), _charset(part)
        if charset not in _ASCII and not _SINGLE_BYTE.match(charset):
            with contextlib.suppress(LookupError, ValueError):
                data = data.decode(charset, errors="replace").encode(errors="replace")
        if _flowed(part):
            data = re.sub(rb"^ (?!\n)", b"", data, flags=re.MULTILINE)
        texts.append(data if data.endswith(b"\n") or not data else data + b"\n")
    return b"".join(texts).replace(b"\r\n", b"\n")


def _flowed(part: Message) -> bool:
    return "flowed" in str(part.get("content-type", "")).lower()


def _charset(part: Message) -> str:
    try:
        return (part.get_content_charset() or "").strip().lower()
    except (ValueError, LookupError, TypeError):
        return "unknown"


def _mailinfo(raw: bytes) -> tuple[bytes | None, str]:
    """The patch as git takes it out, or why git cannot."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-mail-") as name:
        folder = Path(name)
        # No repository around us may tell git how to read a mail.
        env = {**CLEAN, "GIT_DIR": str(folder / "none")}
        try:
            done = run(
                ["git", "mailinfo", "-u", "--no-scissors", str(folder / "log"), str(folder / "patch")],
                stdin=raw, cwd=folder, env=env, check=False, split=True, timeout=_MAILINFO_TIME,
            )  # fmt: skip
        except CommandTimeout:
            return None, f"git mailinfo did not read it within {_MAILINFO_TIME:.0f} s"
        if done.status:
            words = done.errors.strip().splitlines()
            return None, f"git mailinfo cannot read it: {words[-1][:200] if words else f'status {done.status}'}"
        return (folder / "patch").read_bytes(), ""


def _from_break(body: bytes) -> bytes:
    """From the line on that ends the commit message."""
    found = _BREAK.search(body)
    return body[found.start() :] if found else b""


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _ends_in_cr(data: bytes) -> bool:
    return bool(re.search(rb"^(?:diff --git |\+\+\+ |@@ -)[^\n]*\r$", data, re.MULTILINE))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
