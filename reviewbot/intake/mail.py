# SPDX-License-Identifier: GPL-2.0-or-later
"""One mail, parsed as far as a patch series needs it; nothing in a mail makes this raise."""

import email.errors
import re
from dataclasses import dataclass, replace
from email.header import decode_header
from email.message import Message
from email.utils import mktime_tz, parsedate_tz

from reviewbot.intake.gitam import patch_in
from reviewbot.intake.gitapply import PatchText
from reviewbot.intake.pull import PullRequest, parse_pull
from reviewbot.intake.trailers import Trailers, read_trailers
from reviewbot.model.mails import addresses, message_of

_REPLY = re.compile(
    r"^\s*((re|aw|sv|fwd?|antw|antwort|odp|réf\.?|回复|回覆|答复|答覆|转发|轉寄)\s*(\[\d+\])?\s*[:：]\s*)+",
    re.IGNORECASE,
)
# `[RFC[RAP] V2 4/6]` has been seen.
_BRACKET = re.compile(r"^\s*\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")
_COUNTER = re.compile(r"(?<![^\W_])(?<![/.])(\d{1,4})(?:\s*/\s*| of )(\d{1,4})(?![\w/])")
# `v3`, `V3.1`, `ver #16`, `version 2`, `rev. 2`, `try #2`, `take 3`; not `v6.1.y`, which names a stable tree.
_VERSION = re.compile(
    r"(?<![^\W_])(?:v|ver(?:sion)?|rev(?:ision)?)[ .:#-]*(?P<version>\d{1,3})(?:\.(?P<minor>\d{1,3}))?(?!\.?[^\W_])"
    r"|(?<![^\W_])(?:try|take)[ .:#-]*(?P<take>\d{1,3})(?!\.?[^\W_])|(?<!\S)#(?P<bare>\d{1,2})(?!\S)",
    re.IGNORECASE,
)
# At the end of a title only with a sign: `[ver #16]`, `(v2)`, `, take 2`; `for cgroup v2` is no version of a series.
_LATE_VERSION = re.compile(
    r"(?:\s*[\[(]\s*(?P<marked>(?:v|ver(?:sion)?|rev(?:ision)?|try|take)[^\])]{1,9})[\])]"
    r"|\s*(?:[,;]| -{1,2})\s+(?P<bare>(?:v|ver(?:sion)?|rev(?:ision)?|try|take)[ .:#-]*\d{1,3}))\s*$",
    re.IGNORECASE,
)
_KIND = re.compile(r"(PATCH[A-Z]*?|PULLBOMB|PULL|RFC(?:RAP)?)(?:V(\d{1,3}))?", re.IGNORECASE)
_GLUED = re.compile(r"\b(PATCH|RFC)(?=\d)", re.IGNORECASE)
_LONGEST = 32 << 10
"""Characters of a header that are read: some hundred recipients."""
_YEAR_9999 = 253402300799
_LOG_END = re.compile(r"^(?:diff -|Index: |---\s*$|--- \S)", re.MULTILINE)
_MSGID = re.compile(r"<([^<>\s]+)>")


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject taken apart."""

    text: str
    """Decoded, on one line."""
    title: str
    """Without replies' prefixes and leading brackets."""
    is_reply: bool
    kinds: frozenset[str] = frozenset()
    """`PATCH`, `PATCHSET`, `RFC`, `PULL`, … in upper case."""
    version: int = 1
    """The 5 of `v5`, and of `v5.1`."""
    says_version: bool = False
    number: int | None = None
    total: int | None = None
    words: tuple[str, ...] = ()
    """Of the brackets, what is neither kind, version nor counter, in lower case: `libfuse`, `net-next`, `resend`."""
    minor: int = 0
    """The 1 of `v5.1`, which replaces a single patch of v5."""

    @property
    def rfc(self) -> bool:
        return "RFC" in self.kinds

    def same_version(self, other: "Subject") -> bool:
        """Whether both say the same version, or none."""
        return (self.version, self.says_version) == (other.version, other.says_version)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of a thread."""

    id: str
    raw: bytes
    subject: Subject
    author: str
    """`Name <address>`."""
    address: str
    """The author's address in lower case."""
    recipients: tuple[str, ...]
    """Addresses of To:, then of Cc:, lower case."""
    to_count: int
    """How many of them are of To:."""
    parents: tuple[str, ...]
    """In-Reply-To first, then References from the nearest to the farthest."""
    paths: tuple[str, ...]
    date: int
    """Of its Date:, seconds since the epoch; 0 if that cannot be read."""
    body: str
    """All its text, decoded."""
    trailers: Trailers
    patch: PatchText
    """As `git am` takes it out of the mail."""
    log: str
    """What stands above the diff, on one line."""
    conflicts: tuple[str, ...] = ()
    """Subjects of other mails with its Message-ID that say something else about the series."""
    pull: PullRequest | None = None
    """What `git request-pull` wrote, if that is in it."""

    @property
    def has_diff(self) -> bool:
        """Whether it carries a diff, be it whole or in trouble."""
        return bool(self.paths or self.patch.trouble)

    @property
    def is_series(self) -> bool:
        """Tagged as a patch or cover, and no reply."""
        return not self.subject.is_reply and bool(self.subject.kinds)

    @property
    def is_patch(self) -> bool:
        """Sent as a patch: tagged so, with a diff, neither a cover (0/N) nor a request to pull."""
        return self.is_series and self.has_diff and self.subject.number != 0 and "PULL" not in self.subject.kinds

    @property
    def is_cover(self) -> bool:
        """Tagged as a series, and no patch."""
        return self.is_series and not self.is_patch

    @property
    def is_pull(self) -> bool:
        """Asks to pull instead of bringing patches below it, if there are none."""
        tagged = "PULL" in self.subject.kinds
        return self.is_cover and (tagged or self.subject.number != 0) and (tagged or self.pull is not None)


def parse_subject(text: str) -> Subject:
    """`Re: [PATCH RFC v3 02/10] fuse: x` and its like."""
    flat = " ".join(text.split())
    rest = _REPLY.sub("", flat)
    is_reply = rest != flat.lstrip()
    found = _Bracketed()
    while match := _BRACKET.match(rest):
        found.read(match[1])
        rest = rest[match.end() :]
        if reply := _REPLY.match(rest):  # `[EXT] Re: [PATCH]`, `[a-list] Re: [PATCH]`
            is_reply = is_reply or not found.kinds
            rest = rest[reply.end() :]
    title = rest.strip().removeprefix(":").lstrip()
    if (late := _LATE_VERSION.search(title)) and (version := _version_in(late["marked"] or late["bare"])):
        title = title[: late.start()]
        found.version = found.version or version
    if found.tried is not None:
        found.words += ["resend"] if found.version else []
        found.version = found.version or found.tried
    return Subject(
        flat,
        title,
        is_reply,
        frozenset(found.kinds),
        found.version or 1,
        found.version is not None,
        *found.counter,
        tuple(dict.fromkeys(found.words)),
        found.minor,
    )


class _Bracketed:
    """What the brackets in front of a subject say."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.version: int | None = None
        self.minor = 0
        self.tried: int | None = None
        """`take 3`, `#2`: a version where none is said, else how often that one was sent."""
        self.counter: tuple[int | None, int | None] = (None, None)
        self.words: list[str] = []

    def read(self, text: str) -> None:
        text = _GLUED.sub(r"\1 ", text)
        if counter := _COUNTER.search(text):
            self.counter = (int(counter[1]), int(counter[2]))
            text = f"{text[: counter.start()]} {text[counter.end() :]}"
        while version := _VERSION.search(text):
            if version["version"]:
                self.version, self.minor = int(version["version"]), int(version["minor"] or 0)
            else:
                self.tried = int(version["take"] or version["bare"])
            text = f"{text[: version.start()]} {text[version.end() :]}"
        for token in re.split(r"[\s,;:]+", text):
            self._token(token)

    def _token(self, token: str) -> None:
        """`PATCHv3`, `PATCH/RFC`, `RFC[RAP]`, `PATCH-libfuse`, `net-next`."""
        pieces = [piece for piece in re.split(r"[-/_+()\[\]{}.]", token) if piece]
        kinds = [_KIND.fullmatch(piece) for piece in pieces]
        for kind in filter(None, kinds):
            self.kinds.add("RFC" if kind[1].upper() == "RFCRAP" else kind[1].upper())
            self.version = int(kind[2]) if kind[2] else self.version
        rest = [p for p, kind in zip(pieces, kinds, strict=True) if not kind] if any(kinds) else [token]
        words = (re.sub(r"^\W+|\W+$", "", word.lower()) for word in rest)
        self.words += [word for word in words if word and word != "rap" and not re.fullmatch(r"[\d.]+", word)]


def _version_in(text: str) -> int | None:
    found = _VERSION.fullmatch(text.strip())
    return int(found["version"] or found["take"] or found["bare"]) if found else None


def parse_mail(raw: bytes) -> Mail | None:
    """None when it has no usable Message-ID."""
    message = message_of(raw)
    found = _MSGID.search(header_text(message, "message-id"))
    if found is None:
        return None
    body = _body(message)
    subject = parse_subject(header_text(message, "subject"))
    tagged = bool(subject.kinds) or subject.number is not None
    patch = patch_in(message, raw, ask=tagged and not subject.is_reply)
    if not subject.kinds and subject.number is not None and (patch.paths or subject.number == 0):
        # Patchwork takes the word out of `[PATCH net,v2,1/2]`.
        subject = replace(subject, kinds=frozenset({"PATCH"}))
    name, address = next(iter(addresses(header_text(message, "from"))), ("", ""))
    to = [a.lower() for _, a in addresses(header_text(message, "to"))]
    cc = [a.lower() for _, a in addresses(header_text(message, "cc"))]
    parents = [
        *_MSGID.findall(header_text(message, "in-reply-to"))[:1],
        *reversed(_MSGID.findall(header_text(message, "references"))),
    ]
    return Mail(
        id=found[1],
        raw=raw,
        subject=subject,
        author=f"{name} <{address}>" if name else address,
        address=address.lower(),
        recipients=(*to, *cc),
        to_count=len(to),
        parents=tuple(dict.fromkeys(p for p in parents if p != found[1])),
        paths=patch.paths,
        date=_date(header_text(message, "date")),
        body=body,
        trailers=read_trailers(body, has_diff=bool(patch.paths)),
        pull=parse_pull(body),
        patch=patch,
        log=" ".join(_LOG_END.split(body, maxsplit=1)[0].split()),
    )


def as_patch(mail: Mail) -> Mail:
    """An untagged mail as what it is if it was meant as a patch: with what `git am` would take out of it."""
    patch = patch_in(message_of(mail.raw), mail.raw)
    subject = replace(mail.subject, kinds=frozenset({"PATCH"}))
    return replace(mail, subject=subject, patch=patch, paths=patch.paths) if patch.paths else mail


def _date(text: str) -> int:
    try:
        parsed = parsedate_tz(text)
        return min(max(mktime_tz(parsed), 0), _YEAR_9999) if parsed else 0
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0


def header_text(message: "Message[str, str]", name: str) -> str:
    """Decoded, on one line; empty if there is none."""
    try:
        value = next((str(text)[:_LONGEST] for key, text in message.raw_items() if key.lower() == name.lower()), None)
        if value is None:
            return ""
        # Bytes above 127, which no header may have and many do, are UTF-8 for everybody who reads such mail.
        pieces = decode_header(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    except (ValueError, LookupError, email.errors.MessageError):
        return str(message.get(name, "")) if name != "subject" else ""
    text = ""
    for piece, charset in pieces:
        text += piece if isinstance(piece, str) else _decode(piece, charset)
    return " ".join(text.replace("\x00", "").split())


def _decode(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", errors="replace")


def _body(message: Message) -> str:
    """All text of the mail, attachments that are text included, decoded as well as it goes."""
    texts = []
    for part in message.walk():
        if part.get_content_maintype() != "text" or part.get_content_subtype() == "html":
            continue
        try:
            payload = part.get_payload(decode=True)
            charset = part.get_content_charset()
        except (ValueError, LookupError, AssertionError):
            continue
        if isinstance(payload, bytes):
            texts.append(_decode(payload, charset))
    return "\n".join(texts).replace("\r\n", "\n")
