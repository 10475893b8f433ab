# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's posting: a cover, one cover per component below it, the patches below those."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from pathlib import Path

HERE = Path(__file__).resolve().parent
AUTHOR = "Dana Example <dana@example.org>"
COMPONENTS = ("kernel", "libfuse", "e2fsprogs")
TO = {
    "kernel": "linux-fsdevel@vger.kernel.org",
    "libfuse": "fuse-devel@lists.linux.dev",
    "e2fsprogs": "linux-ext4@vger.kernel.org",
}
WHAT = {
    "kernel": "fuse: say more when the module starts",
    "libfuse": "libfuse: versions that bug reports can be read by",
    "e2fsprogs": "fuse2fs: say which libfuse it was built for",
}
_POLICY = EmailPolicy(utf8=True, cte_type="8bit", max_line_length=0, linesep="\n")
_DATE = "Mon, 2 Nov 2026 09:{minute:02}:00 +0000"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the posting."""

    number: int
    more: str = ""
    """Not empty: the kernel part gets one more patch, with this word in its message."""

    def id(self, name: str) -> str:
        suffix = f".{self.more}" if self.more else ""
        return f"20261102.v{self.number}{suffix}.{name}@example.org"

    @property
    def top(self) -> str:
        return self.id("top")


def mails(version: Version) -> Iterator[bytes]:
    """All mails, the top cover first."""
    tag = f" v{version.number}" if version.number > 1 else ""
    yield _mail(version.top, f"[PATCHSET{tag}] fuse: version messages that answer questions", _TOP, minute=0)
    minute = 1
    for number, component in enumerate(COMPONENTS, 1):
        cover = version.id(component)
        subject = f"[PATCHSET{tag} 1/1] {WHAT[component]}"
        yield _mail(
            cover, subject, _COVER.format(what=WHAT[component]), parent=version.top, to=TO[component], minute=minute
        )
        patches = list(_patches(component, version))
        for place, raw in enumerate(patches, 1):
            minute += 1
            yield _patch(raw, version.id(f"{component}.{place}"), place, len(patches), cover, component, minute)
        minute += number


def _patches(component: str, version: Version) -> Iterator[bytes]:
    for path in sorted((HERE / "patches" / component).glob("*.patch")):
        yield path.read_bytes()
    if component == "kernel" and version.more:
        for path in sorted((HERE / "more").glob("*.patch")):
            yield path.read_bytes().replace(b"default %u pages", version.more.encode() + b" %u pages")


def _mail(message_id: str, subject: str, body: str, *, minute: int, parent: str = "", to: str = "") -> bytes:
    message = EmailMessage(policy=_POLICY)
    message["From"] = AUTHOR
    message["To"] = to or ", ".join(TO.values())
    message["Date"] = _DATE.format(minute=minute)
    message["Subject"] = subject
    message["Message-ID"] = f"<{message_id}>"
    if parent:
        message["In-Reply-To"] = f"<{parent}>"
        message["References"] = f"<{parent}>"
    message.set_content(body, cte="8bit")
    return message.as_bytes()


def _patch(raw: bytes, message_id: str, place: int, total: int, cover: str, component: str, minute: int) -> bytes:
    """What `git format-patch` made, as `git send-email` would send it."""
    parsed = BytesParser(policy=_POLICY).parsebytes(raw.partition(b"\n")[2])
    title = str(parsed["Subject"]).partition("] ")[2]
    body = parsed.get_payload(decode=True)
    assert isinstance(body, bytes)
    return _mail(
        message_id, f"[PATCH {place}/{total}] {title}", body.decode(), parent=cover, to=TO[component], minute=minute
    )


_TOP = """\
Hi all,

three small series that make the version messages of the FUSE stack answer
the questions that bug reports raise. They belong together but can be merged
in any order.

The first is for the kernel, the second for libfuse, the third for e2fsprogs.
"""
_COVER = """\
{what}.

See the patches.
"""
