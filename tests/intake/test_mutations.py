# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads of every shape, mutilated as the world does it: never a crash, never another series than the sent one."""

import base64
import email
import functools
import quopri
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.intake import Intake, Mailbag, split
from reviewbot.intake.mbox import split_mbox
from reviewbot.model.errors import ReviewbotError
from reviewbot.trees.line_ends import without_quoted_cr
from tests.intake.patches import taken, written_by_git
from tests.mails import PATHS, TOP, mail, posting

STACK = load_stack()
SIGNED = "Signed-off-by: A Developer <dev@example.org>\n"


def body(path: str, seed: int, *, hunks: int = 2) -> str:
    """A patch as `git format-patch` writes it: diffstat, two hunks, signature."""
    lines = f" \tint a{seed};\n+\tint ö{seed} = 1;  \n \n-\t\n+\t/* {seed} */\n"
    parts = [f"@@ -{20 * n + 1},3 +{20 * n + 1},4 @@ int f{n}(void)\n{lines}" for n in range(hunks)]
    stat = f" {path} | {3 * hunks} ++-\n 1 file changed, {2 * hunks} insertions(+), {hunks} deletions(-)\n"
    head = f"diff --git a/{path} b/{path}\nindex 1234567..89abcde 100644\n--- a/{path}\n+++ b/{path}\n"
    return f"Change {seed}.\n\nFrom now on.\n\n{SIGNED}---\n{stat}\n{head}{''.join(parts)}-- \n2.39.5\n\n"


def series(kind: str) -> list[bytes]:
    """One thread of this shape, complete."""
    at = "fs/fuse/dev.c", "fs/fuse/file.c", "fs/fuse/dir.c"
    match kind:
        case "blizzard":
            mails = [mail(TOP, "[PATCHBLIZZARD v2] several things at once")]
            for name, path in PATHS.items():
                mails.append(mail(f"{name}@x.org", f"[PATCHSET v2 1/1] {name}: change it", parent=TOP))
                for n in (1, 2):
                    subject = f"[PATCH {n}/2] {name}: step {n}"
                    mails.append(mail(f"{name}.{n}@x.org", subject, body(path, n), parent=f"{name}@x.org"))
            return mails
        case "cover":
            mails = [mail("c@x.org", "[PATCH v3 0/3] fuse: three things")]
            return mails + [
                mail(f"{n}@x.org", f"[PATCH v3 {n}/3] fuse: {n}", body(at[n - 1], n), parent="c@x.org")
                for n in (1, 2, 3)
            ]
        case "no cover":
            mails = [mail("1@x.org", "[PATCH 1/3] fuse: 1", body(at[0], 1))]
            return mails + [
                mail(f"{n}@x.org", f"[PATCH {n}/3] fuse: {n}", body(at[n - 1], n), parent="1@x.org") for n in (2, 3)
            ]
        case "lone":
            return [mail("1@x.org", "[PATCH] fuse: one thing", body(at[0], 1))]
        case "replies":
            mails = series("cover")
            quoted = "".join(f"> {line}\n" for line in body(at[0], 1).splitlines())
            mails.append(mail("r@x.org", "Re: [PATCH v3 1/3] fuse: 1", f"Hi,\n{quoted}\nNo.\n", parent="1@x.org"))
            return [
                *mails,
                mail("s@x.org", "Re: [PATCH v3 2/3] fuse: 2", body(at[2], 9), parent="2@x.org", author="R <r@x.org>"),
            ]
        case "resent":
            return [
                *series("cover"),
                mail("2b@x.org", "[PATCH v3 RESEND 2/3] fuse: 2", body(at[1], 2), parent="c@x.org"),
            ]
        case "git":
            made = written_by_git()
            return [
                m.replace(b"\n\n", b"\nIn-Reply-To: <made.0@example.org>\n\n", 1) if n else m
                for n, m in enumerate(made)
            ]
        case _:
            raise AssertionError(kind)


KINDS = ("blizzard", "cover", "no cover", "lone", "replies", "resent", "git")


def recoded(raw: bytes, how: str) -> bytes:
    """The same mail, written in another way."""
    head, _, _ = raw.partition(b"\n\n")
    message = email.message_from_bytes(raw)
    text = message.get_payload(decode=True)
    if not isinstance(text, bytes) or message.get_content_charset("utf-8") != "utf-8":
        return raw  # once is enough
    lines = [line for line in head.split(b"\n") if not line.lower().startswith((b"mime-", b"content-"))]
    head = b"\n".join(lines) + b"\nMIME-Version: 1.0\n"
    plain, charset = b"Content-Type: text/plain; charset=%s\n", b"utf-8"
    words = text.decode(errors="replace")
    match how:
        case "quoted-printable":
            return (
                head + plain % charset + b"Content-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(text)
            )
        case "base64":
            return head + plain % charset + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(text)
        case "base64 crlf":
            text = base64.encodebytes(text.replace(b"\n", b"\r\n"))
            return head + plain % charset + b"Content-Transfer-Encoding: base64\n\n" + text
        case "base64 bare":
            return head + b"Content-Transfer-Encoding: base64\n\n" + base64.b64encode(text)
        case "lie":
            return head + plain % charset + b"Content-Transfer-Encoding: base64\n\n" + text
        case "utf-16" | "utf-7" | "latin-1" | "gb18030" | "utf-32" | "cp037" | "cp1252":
            text = words.encode(how, errors="replace")
            return head + plain % how.encode() + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(text)
        case "latin-1 8bit" | "utf-7 8bit" | "gb18030 8bit":
            how = how.removesuffix(" 8bit")
            return (
                head
                + plain % how.encode()
                + b"Content-Transfer-Encoding: 8bit\n\n"
                + words.encode(how, errors="replace")
            )
        case "no charset":
            return head + b"Content-Type: text/plain\n\n" + text
        case "strange charset":
            return head + plain % b"x-unknown" + b"\n" + text
        case "flowed":
            stuffed = b"\n".join(
                b" " + line if line.startswith((b" ", b"From ", b">")) else line for line in text.split(b"\n")
            )
            return head + b"Content-Type: text/plain; charset=utf-8; format=flowed\n\n" + stuffed
        case "flowed lie":
            return head + b"Content-Type: text/plain; charset=utf-8; format=flowed\n\n" + text
        case "html":
            return head + b"Content-Type: text/html; charset=utf-8\n\n<pre>" + text + b"</pre>"
    return head + _multipart(text, how)


def _multipart(text: bytes, how: str) -> bytes:
    part = b"--=_b\nContent-Type: %s\nContent-Transfer-Encoding: %s\n%s\n%s\n"
    inline = part % (b"text/plain; charset=utf-8", b"8bit", b"", text)
    kind, parts = b"mixed", [inline]
    match how:
        case "attachment":
            words, _, diff = text.partition(b"---\n")
            named = b"Content-Disposition: attachment; filename=x.patch\n"
            parts = [
                part % (b"text/plain", b"7bit", b"", words),
                part % (b"text/x-patch", b"8bit", named, b"---\n" + diff),
            ]
        case "octets":
            named = b"Content-Disposition: attachment; filename=x.patch\n"
            parts = [
                part % (b"text/plain", b"7bit", b"", b"See below."),
                part % (b"application/octet-stream", b"base64", named, base64.encodebytes(text)),
            ]
        case "signed":
            kind = b'signed; micalg=pgp-sha256; protocol="application/pgp-signature"'
            sign = b"-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n-----END PGP SIGNATURE-----"
            parts = [inline, part % (b"application/pgp-signature", b"7bit", b"", sign)]
        case "alternative":
            kind = b"alternative"
            parts = [inline, part % (b"text/html", b"8bit", b"", b"<html><body><pre>" + text + b"</pre></body></html>")]
        case "alternative words":
            kind = b"alternative"
            parts = [inline, part % (b"text/html", b"7bit", b"", b"<p>Hello</p>")]
        case "twice":
            parts = [inline, inline]
        case "nested":
            inner = b'Content-Type: multipart/mixed; boundary="=_i"\n\n' + inline.replace(b"=_b", b"=_i") + b"--=_i--\n"
            parts = [b"--=_b\n" + inner, part % (b"text/plain", b"7bit", b"", b"A footer.")]
        case "forwarded":
            parts = [part % (b"message/rfc822", b"8bit", b"", b"Subject: x\nFrom: a@b\n\n" + text)]
        case "no end":
            return b'Content-Type: multipart/mixed; boundary="=_b"\n\n' + inline
        case _:
            raise AssertionError(how)
    return b'Content-Type: multipart/%s; boundary="=_b"\n\n%s--=_b--\n' % (kind, b"".join(parts))


HOW = (
    "quoted-printable", "base64", "base64 crlf", "base64 bare", "lie", "utf-16", "utf-7", "latin-1", "gb18030",
    "utf-32", "cp037", "cp1252", "latin-1 8bit", "utf-7 8bit", "gb18030 8bit", "no charset", "strange charset",
    "flowed", "flowed lie", "html", "attachment", "octets", "signed", "alternative", "alternative words", "twice",
    "nested", "forwarded", "no end",
)  # fmt: skip
LOSSLESS = ("quoted-printable", "base64", "base64 crlf", "no charset", "attachment", "octets", "signed",
            "alternative words", "nested")  # fmt: skip
"""Ways after which `git am` still applies the very patch, so that we must take it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the author sent: Message-ID -> diff as git takes it out, per part in order."""

    parts: Mapping[str, tuple[str, ...]]
    diffs: Mapping[str, bytes]


def effective(raw: bytes) -> bytes:
    """The lines of a mail's patch that git applies, asked of git: without log, junk and signature."""
    patch = taken(raw).patch or b""
    start = min((at for at in (patch.find(b"diff --git "), patch.find(b"--- a/")) if at >= 0), default=len(patch))
    return re.split(rb"\n(?:-- |2\.39\.5)\n", patch[start:] + b"\n")[0].rstrip(b"\n")


@functools.cache
def sent(mails: tuple[bytes, ...]) -> Sent:
    """The truth about a whole thread."""
    found = split(Mailbag("sent", mails), None, STACK)
    assert not any(problem.blocking for problem in found.posting.problems), found.posting.problems
    parts = {f"{p.component} {p.counter}": tuple(m.message_id for m in p.patches) for p in found.posting.parts}
    return Sent(parts, {i: effective(found.mails[i]) for part in parts.values() for i in part})


ORIGINALS = {kind: tuple(series(kind)) for kind in KINDS}


def judge(mails: Sequence[bytes], original: Sent, *, same: bool = False) -> Intake | None:
    """The invariant: blocked, or exactly what was sent. same: nothing may block."""
    try:
        found = split(Mailbag("mutated", tuple(mails)), None, STACK)
    except ReviewbotError as error:
        assert not same, error
        return None
    blocking = [problem for problem in found.posting.problems if problem.blocking]
    assert not (same and blocking), blocking
    if blocking:
        return None
    ids = [patch.message_id for part in found.posting.parts for patch in part.patches]
    assert len(ids) == len(set(ids))
    for part in found.posting.parts:
        wanted = original.parts.get(f"{part.component} {part.counter}")
        # A resend with the same diff is as good as what it resends.
        assert tuple(p.message_id.replace("2b@", "2@") for p in part.patches) == wanted
        for patch in part.patches:
            raw = without_quoted_cr(found.mails[patch.message_id])  # as it is applied
            assert effective(raw) == original.diffs[patch.message_id.replace("2b@", "2@")]
            theirs = taken(raw).paths
            assert theirs is not None and theirs <= set(patch.paths)
    return found


@pytest.mark.parametrize("how", HOW)
def test_a_patch_that_is_sent_in_another_way(how: str) -> None:
    mails = series("cover")
    mails[2] = recoded(mails[2], how)
    judge(mails, sent(ORIGINALS["cover"]), same=how in LOSSLESS)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_threads_are_taken_whole(kind: str) -> None:
    mails = ORIGINALS[kind]
    assert judge(mails[::-1], sent(mails), same=True) is not None


def cut(data: st.DataObject, raw: bytes) -> bytes:
    return raw[: data.draw(st.integers(0, len(raw)))]


def other_content(data: st.DataObject, raw: bytes) -> bytes:
    lines = raw.split(b"\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at : at + 1] = data.draw(st.sampled_from(([], [b"+\tint b;"], [lines[at], lines[at]])))
    return b"\n".join(lines)


def footer(_: st.DataObject, raw: bytes) -> bytes:
    return raw.rstrip(b"\n") + b"\n\n_______________________________________________\nfuse mailing list\n"


MUTATIONS: dict[str, Callable[[st.DataObject, bytes], bytes]] = {
    "cut": cut, "footer": footer, "crlf": lambda _, raw: raw.replace(b"\n", b"\r\n"),
    "recode": lambda data, raw: recoded(raw, data.draw(st.sampled_from(HOW))),
    "received": lambda _, raw: b"Received: from a by b\n" + raw,
}  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_mutilated_threads_are_blocked_or_what_was_sent(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    mails = list(ORIGINALS[kind])
    original = sent(ORIGINALS[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        if not mails:
            break
        at = data.draw(st.integers(0, len(mails) - 1))
        match data.draw(st.sampled_from(("drop", "double", "conflict", "shuffle", *MUTATIONS))):
            case "drop":
                del mails[at]
            case "double":
                mails.append(MUTATIONS[data.draw(st.sampled_from(tuple(MUTATIONS)))](data, mails[at]))
            case "conflict":
                mails.insert(data.draw(st.integers(0, len(mails))), other_content(data, mails[at]))
            case "shuffle":
                mails = data.draw(st.permutations(mails))
            case name:
                mails[at] = MUTATIONS[name](data, mails[at])
    judge(mails, original)


def as_mbox(mails: Sequence[bytes], quoting: str, junk: bytes) -> bytes:
    parts = []
    for raw in mails:
        head, _, text = raw.partition(b"\n\n")
        if quoting != "none":
            lines = text.split(b"\n")
            hit = (b"From ",) if quoting == "mboxo" else (b"From ", b">From ", b">>From ")
            text = b"\n".join(b">" + line if line.startswith(hit) else line for line in lines)
        if quoting.startswith("mboxcl"):
            head += b"\nContent-Length: %d" % len(text)
        parts.append(b"From dev@example.org Mon Nov  2 09:00:00 2026\n" + head + b"\n\n" + text + b"\n")
    return junk + junk.join(parts)


JUNK = b"From x Mon Nov  2 09:00:00 2026\nSubject: junk\n\n\xff\x00\n"


@given(
    kind=st.sampled_from(KINDS),
    quoting=st.sampled_from(("mboxo", "mboxrd", "mboxcl", "none")),
    crlf=st.booleans(),
    junk=st.sampled_from((b"", b"\n", b"\n\n\n", b"From nobody\n\n", JUNK)),
)
def test_every_kind_of_mailbox_holds_the_same_thread(kind: str, quoting: str, crlf: bool, junk: bytes) -> None:
    mails = ORIGINALS[kind]
    data = as_mbox(mails, quoting, junk)
    if crlf and kind != "git":  # a file with CRLF in it cannot survive this
        data = data.replace(b"\n", b"\r\n")
    found, _ = split_mbox(data)
    judge(found, sent(mails), same=not junk.strip())


def test_an_email_library_reads_our_mails() -> None:
    """The mutations are what they say: mails that a MIME parser takes without complaint."""
    for how in HOW:
        if how not in ("no end", "lie"):
            message = email.message_from_bytes(recoded(posting()[2], how))
            assert not [defect for part in message.walk() for defect in part.defects], how
