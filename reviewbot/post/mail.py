# SPDX-License-Identifier: GPL-2.0-or-later
"""The replies of a run, through the outbox to their readers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, parseaddr
from pathlib import Path

from reviewbot.model.base import Model
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.mails import message_of
from reviewbot.model.posting import Posting
from reviewbot.model.verdict import VerdictKind
from reviewbot.post import smtp
from reviewbot.post.outbox import Item, Outbox, State
from reviewbot.post.policy import Decision, Policy, decide, rate
from reviewbot.post.settings import MailSettings, read_settings

MAIL = "mail"
"""Channel of the outbox."""
_POLICY = policy.EmailPolicy(cte_type="8bit", max_line_length=78, linesep="\n", refold_source="none")
"""Headers that are not replaced stay as they are in the file; new ones are encoded (RFC 2047)."""
_PLACEHOLDER = "reviewbot@invalid"
"""Address in a written reply, for the sender's."""


class Delivery(Model):
    """What became of one reply, or what would."""

    state: str
    """`dry run`, or as in the outbox."""
    number: int = 0
    """In the outbox; 0: it is not in there."""
    why: str = ""
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    server: str
    mail: str
    """The whole mail."""

    @property
    def sent(self) -> bool:
        return self.state == State.SENT

    def describe(self) -> str:
        """For a terminal."""
        to, server = ", ".join(self.recipients), self.server or "no server: git has no sendemail.smtpServer"
        match self.state:
            case State.SENT:
                return f"sent {self.message_id} to {to} through {server}"
            case "dry run":
                first = f"{self.why}; " if self.why else ""
                return f"{self.mail}\n(a dry run: {first}--send would send this to {to} through {server})"
            case _:
                hint = f"`reviewbot outbox release {self.number}` sends it anyway"
                return f"{self.message_id} to {to} is {self.state}: {self.why} ({hint})"


@dataclass(frozen=True, slots=True)
class Sender:
    """How mail leaves this machine, and by which rules."""

    outbox: Outbox
    policy: Policy = field(default_factory=Policy)
    settings_from: Path | None = None
    """Folder where git looks for its settings; None: the current one."""
    pauses: Sequence[float] = smtp.PAUSES
    """Seconds between tries."""


def mail(
    folder: Path,
    sender: Sender,
    *,
    send: bool = False,
    to: Sequence[str] = (),
    cc: Sequence[str] = (),
    uncompared: bool = False,
    posting: Posting | None = None,
    mails: Mapping[str, bytes] | None = None,
) -> tuple[Delivery, ...]:
    """Deliver the replies in a run's folder: at once, later, or not at all, as the policy says.

    to: instead of the author, cc: besides what the policy says; both are for all replies. uncompared: send failures,
    too, that base may have as well. posting, mails: what the run was about, and its raw mails by Message-ID.
    Raises UsageError (no reply, INFRA, uncompared failures, already sent, no server), InfraError (the server refuses).
    """
    files = sorted(folder.glob("reply*.eml"), key=lambda path: (len(path.name), path.name))
    if not files:
        raise UsageError(f"run {folder.name} has no reply", hint="it was interrupted, or is still running")
    settings = _settings(sender, send)
    found = []
    for path in files:
        letter = _Letter.read(path, settings, to, cc, posting, mails or {})
        found.append(letter.deliver(sender, settings, send=send, uncompared=uncompared))
    return tuple(found)


def send_again(item: Item, sender: Sender, *, released: bool = False) -> Item:
    """A mail of the outbox, if it is due and the policy's `per_day` leaves room for it. released: by hand, which no
    policy says anything to. Raises UsageError (no settings), InfraError.
    """
    if not released and (full := rate(sender.policy, _gone_today(sender.outbox))):
        return sender.outbox.put_off(item.id, *full)
    settings = read_settings(sender.settings_from or Path.cwd())
    return _send(item, sender, settings)


@dataclass(frozen=True, slots=True)
class _Letter:
    key: str
    run: str
    topic: str
    kind: VerdictKind
    author: str
    message: EmailMessage
    answered: EmailMessage
    posting: Posting | None
    named: bool
    """The user said to whom it goes."""

    @classmethod
    def read(
        cls,
        path: Path,
        settings: MailSettings,
        to: Sequence[str],
        cc: Sequence[str],
        posting: Posting | None,
        mails: Mapping[str, bytes],
    ) -> "_Letter":
        head, blank, text = path.read_bytes().partition(b"\n\n")
        address = parseaddr(settings.sender)[1].encode("ascii", "replace")
        text = text.replace(f"<{_PLACEHOLDER}>".encode(), b"<%s>" % address)
        message: EmailMessage = message_from_bytes(head + blank + text, policy=_POLICY)
        kind = VerdictKind(str(message["X-Reviewbot-Verdict"]))
        if kind is VerdictKind.INFRA:
            raise UsageError("a failure of the infrastructure says nothing about the series and is never mailed")
        key, parent = str(message["Message-ID"]), str(message.get("In-Reply-To", "")).strip("<> ")
        author = parseaddr(str(message.get("To", "")))[1]
        answered = message_of(mails.get(parent, b""))
        plain = EmailMessage(policy=policy.compat32)
        for name in ("To", "Cc", "Auto-Submitted", "Precedence", "List-Id", "X-Reviewbot-Run"):
            if name in answered:
                plain[name] = " ".join(str(answered[name]).split())
        for name, value in (("From", settings.sender), ("To", ", ".join(to)), ("Cc", ", ".join(cc))):
            if value:
                _replace(message, name, value)
        _own(message, settings.sender)
        return cls(
            key=key,
            run=path.parent.name,
            topic=posting.top if posting else parent,
            kind=kind,
            author=author,
            message=message,
            answered=plain,
            posting=posting,
            named=bool(to),
        )

    def deliver(self, sender: Sender, settings: MailSettings, *, send: bool, uncompared: bool) -> Delivery:
        if send and self.kind is VerdictKind.FAILURES and not uncompared:
            raise UsageError(
                "these failures are not compared with base: they may be older than the series",
                hint="--uncompared sends them anyway",
            )
        decided = self._decided(sender)
        there = {address.lower() for address in recipients_of(self.message)}
        if more := [address for address in decided.cc if address.lower() not in there]:
            _replace(self.message, "Cc", ", ".join([*filter(None, [str(self.message.get("Cc", ""))]), *more]))
        if not recipients_of(self.message):
            raise UsageError("the reply has no recipient", hint="name one with --mail-to")
        raw = self.message.as_bytes(policy=_POLICY)
        why = decided.held or (f"{decided.why}, until {decided.until:%Y-%m-%d %H:%M} UTC" if decided.until else "")
        if not send:
            return self._delivery("dry run", why, settings, raw)
        item = sender.outbox.put(
            f"mail {self.key}",
            MAIL,
            run=self.run,
            topic=self.topic,
            about=str(self.message["Subject"]),
            goes_to=", ".join(recipients_of(self.message)),
            payload=raw,
            held=decided.held,
            not_before=decided.until,
        )
        _refuse_second(item)
        if item.state is State.PENDING and item.tries:  # it waits for its next try, and somebody wants it now
            item = sender.outbox.release(item.id)
        if item.state is State.PENDING and not decided.until:
            item = _send(item, sender, settings)
        elif item.state is State.PENDING:
            return self._delivery("waiting", why, settings, raw, item)
        return self._delivery(item.state, item.why, settings, raw, item)

    def _decided(self, sender: Sender) -> Decision:
        if self.named:  # somebody at the keyboard chose the readers
            return Decision()
        there = sender.outbox.all(State.SENT, State.SENDING, State.PENDING)
        # When it went out, or will: another run's mail that waits below an embargo is one before this, too.
        mails = [(item, when) for item in there if item.channel == MAIL and (when := item.not_before or item.changed)]
        sent = {
            "all": _gone_today(sender.outbox),
            "posting": tuple(when for item, when in mails if item.topic == self.topic and item.run != self.run),
        }
        return decide(sender.policy, self.kind, self.author, self.answered, self.posting, sent)

    def _delivery(self, state: str, why: str, settings: MailSettings, raw: bytes, item: Item | None = None) -> Delivery:
        return Delivery(
            state=state,
            why=why,
            number=item.id if item else 0,
            message_id=str(self.message["Message-ID"]),
            sender=settings.sender,
            recipients=recipients_of(self.message),
            server=settings.server,
            mail=raw.decode("utf-8", errors="replace"),
        )


def _gone_today(outbox: Outbox) -> tuple[datetime, ...]:
    """When mails went out, or may have, in the last 24 hours."""
    day = datetime.now(UTC) - timedelta(days=1)
    there = (item for item in outbox.all(State.SENT, State.SENDING) if item.channel == MAIL)
    return tuple(item.changed for item in there if item.changed and item.changed > day)


def recipients_of(message: EmailMessage) -> tuple[str, ...]:
    """Addresses of To and Cc."""
    return tuple(a for _, a in getaddresses([str(message.get(name, "")) for name in ("To", "Cc")]) if a)


def _send(item: Item, sender: Sender, settings: MailSettings) -> Item:
    """Raises InfraError unless it was sent, or is not due."""

    def carry(one: Item) -> str:
        message: EmailMessage = message_from_bytes(one.payload, policy=_POLICY)
        del message["Date"]
        message["Date"] = format_datetime(datetime.now(UTC))
        return smtp.carry(message, message.as_bytes(policy=_POLICY), settings, recipients_of(message), sender.pauses)

    try:
        done = sender.outbox.send(item.id, carry)
    except (OSError, ValueError) as error:
        raise InfraError(
            f"{settings.server} may or may not have accepted the mail: {error or type(error).__name__}",
            hint=f"`reviewbot outbox release {item.id}` sends it again",
        ) from error
    if done.state is State.SENT and done.why:
        raise InfraError(
            f"sent, but {settings.server} refused some recipients: {done.why}",
            hint="the others got it: sending it again would reach them twice",
        )
    if done.state is State.REFUSED or (done.state is State.PENDING and done.tries):
        later = "`reviewbot outbox send` tries again later; " if done.state is State.PENDING else ""
        raise InfraError(
            f"{settings.server} did not accept the mail: {done.why}", hint=f"{later}check git's sendemail.* settings"
        )
    return done


def _settings(sender: Sender, send: bool) -> MailSettings:
    try:
        return read_settings(sender.settings_from or Path.cwd())
    except UsageError:
        if send:
            raise
        return MailSettings(server="", sender=f"reviewbot <{_PLACEHOLDER}>")


def _refuse_second(item: Item) -> None:
    """Raises UsageError when this reply went out before, or may have, or never shall."""
    when = f"{item.changed:%Y-%m-%d %H:%M} UTC" if item.changed else ""
    match item.state:
        case State.SENT:
            raise UsageError(f"this reply was sent before ({when})", hint=f"it is number {item.id} of the outbox")
        case State.SENDING:
            hint = f"`reviewbot outbox release {item.id}` sends it again if it never arrived"
            raise UsageError(f"this reply may have been sent before ({when})", hint=hint)
        case State.DROPPED:
            raise UsageError(f"this reply was dropped ({when})", hint=f"it is number {item.id} of the outbox")
        case _:
            return


def _replace(message: EmailMessage, name: str, value: str) -> None:
    """Raises UsageError when that is no value of such a header."""
    if value.splitlines() != [value]:
        raise UsageError(f"an address may not have more than one line: {value!r}")
    del message[name]
    try:
        message[name] = value
    except (ValueError, LookupError, AttributeError) as error:
        # =?utf-8?q?=0A?= is a second line, too; and the parser of Python 3.11 stumbles over `a@` and `a@[`.
        raise UsageError(f"no mail can be sent with {name} {value!r}: {error}") from error


def _own(message: EmailMessage, sender: str) -> None:
    """The Message-ID is of the sender's domain, and who wants no more mails can say so."""
    address = parseaddr(sender)[1]
    domain = address.rpartition("@")[2]
    if address == _PLACEHOLDER or not re.fullmatch(r"[!-;=?-~]+@[A-Za-z0-9.-]{1,200}", address):
        return
    given = str(message["Message-ID"])
    del message["Message-ID"]
    message["Message-ID"] = given.replace("@invalid>", f"@{domain}>")
    message["List-Unsubscribe"] = f"<mailto:{address}?subject=unsubscribe>"
