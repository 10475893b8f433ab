# SPDX-License-Identifier: GPL-2.0-or-later
"""Send a run's reply once, if asked to."""

import contextlib
import json
import re
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, parseaddr
from pathlib import Path

from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked
from reviewbot.host.process import CommandFailed, ToolMissing, run
from reviewbot.model.base import Model
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.verdict import VerdictKind
from reviewbot.post.settings import MailSettings, read_settings

_POLICY = policy.EmailPolicy(cte_type="8bit", max_line_length=78, linesep="\n", refold_source="none")
"""Headers that are not replaced stay as they are in the file; new ones are encoded (RFC 2047)."""
_TIMEOUT = 60.0


class Delivery(Model):
    """What was sent, or what would be."""

    sent: bool
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    server: str
    mail: str
    """The whole mail."""

    def describe(self) -> str:
        """For a terminal."""
        if self.sent:
            return f"sent {self.message_id} to {', '.join(self.recipients)} through {self.server}"
        to = ", ".join(self.recipients)
        server = self.server or "no server: git has no sendemail.smtpServer"
        return f"{self.mail}\n(a dry run: --send would send this to {to} through {server})"


def mail(
    folder: Path,
    *,
    send: bool = False,
    to: Sequence[str] = (),
    cc: Sequence[str] = (),
    settings_from: Path | None = None,
    uncompared: bool = False,
) -> Delivery:
    """Deliver `reply.eml` of a run's folder.

    to: instead of the author. settings_from: where git looks for its settings [the current folder]. uncompared: send
    failures, too, that base may have as well.
    Raises UsageError (no reply, INFRA, uncompared failures, already sent, no server), InfraError (the server refuses).
    """
    message = _load(folder)
    kind = message["X-Reviewbot-Verdict"]
    if kind == VerdictKind.INFRA:
        raise UsageError("a failure of the infrastructure says nothing about the series and is never mailed")
    if send and kind == VerdictKind.FAILURES and not uncompared:
        raise UsageError("these failures are not compared with base: they may be older than the series",
                         hint="--uncompared sends them all the same")  # fmt: skip
    try:
        settings = read_settings(settings_from or Path.cwd())
    except UsageError:
        if send:
            raise
        settings = MailSettings(server="", sender=str(message["From"]))
    _address(message, settings, to, cc)
    _own_domain(message, settings.sender)
    recipients = tuple(a for _, a in getaddresses([str(message.get(h, "")) for h in ("To", "Cc")]) if a)
    if not recipients:
        raise UsageError("the reply has no recipient", hint="name one with --mail-to")
    delivery = Delivery(
        sent=False, message_id=str(message["Message-ID"]), sender=settings.sender, recipients=recipients,
        server=settings.server, mail=message.as_bytes(policy=_POLICY).decode("utf-8", errors="replace"),
    )  # fmt: skip
    if not send:
        return delivery
    with locked(folder / "outbox.lock"):
        _refuse_second(folder, delivery.message_id)
        # Noted before it is sent: a mail that may have gone out is never sent again by itself.
        _note(folder, delivery, "sending")
        refused = _send(message, settings, recipients, folder, delivery)
        _note(folder, delivery, "sent")
    if refused:
        raise InfraError(f"sent, but {settings.server} refused some recipients: {refused}",
                         hint="the others have it: to send it again would reach them twice")  # fmt: skip
    return delivery.model_copy(update={"sent": True})


def _load(folder: Path) -> EmailMessage:
    path = folder / "reply.eml"
    if not path.exists():
        raise UsageError(f"run {folder.name} has no reply", hint="it was interrupted, or is still running")
    return message_from_bytes(path.read_bytes(), policy=_POLICY)


def _address(message: EmailMessage, settings: MailSettings, to: Sequence[str], cc: Sequence[str]) -> None:
    for name, value in (("From", settings.sender), ("To", ", ".join(to)), ("Cc", ", ".join(cc)),
                        ("Date", format_datetime(datetime.now(UTC)))):  # fmt: skip
        if not value:
            continue
        if value.splitlines() != [value]:
            raise UsageError(f"an address may not have more than one line: {value!r}")
        del message[name]
        try:
            message[name] = value
        except (ValueError, LookupError, AttributeError) as error:
            # =?utf-8?q?=0A?= is a second line, too; and the parser of Python 3.11 stumbles over `a@` and `a@[`.
            raise UsageError(f"no mail can be sent with {name} {value!r}: {error}") from error


def _own_domain(message: EmailMessage, sender: str) -> None:
    """The Message-ID is of the sender's domain; the same reply of the same sender has the same one."""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    if re.fullmatch(r"[A-Za-z0-9.-]{1,200}", domain):
        given = str(message["Message-ID"])
        del message["Message-ID"]
        message["Message-ID"] = given.replace("@invalid>", f"@{domain}>")


def _refuse_second(folder: Path, message_id: str) -> None:
    outbox = folder / "posted.json"
    if not outbox.exists():
        return
    known = json.loads(outbox.read_bytes())
    if known.get("message_id") == message_id and known.get("state") in ("sent", "sending"):
        when = known.get("when", "")
        word = "was sent" if known["state"] == "sent" else "may have been sent"
        raise UsageError(f"this reply {word} before ({when})", hint=f"remove {outbox} if it never arrived")


def _note(folder: Path, delivery: Delivery, state: str) -> None:
    words = {"message_id": delivery.message_id, "state": state, "when": datetime.now(UTC).isoformat(timespec="seconds"),
             "recipients": delivery.recipients, "server": delivery.server}  # fmt: skip
    write_atomic(folder / "posted.json", json.dumps(words, indent=1))


def _send(
    message: EmailMessage, settings: MailSettings, recipients: Sequence[str], folder: Path, delivery: Delivery
) -> str:
    """Who was refused while others were not, and why; empty when all were taken."""
    try:
        if not settings.server.startswith("/"):
            return _smtp(message, settings, recipients)
        sender = parseaddr(settings.sender)[1]
        run([settings.server, "-i", "-f", sender, "--", *recipients],
            stdin=message.as_bytes(policy=_POLICY), timeout=120)  # fmt: skip
        return ""
    except (smtplib.SMTPException, OSError, ValueError, CommandFailed, ToolMissing) as error:
        # It certainly did not go out: the server refused it, or was never reached.
        if not isinstance(error, (smtplib.SMTPServerDisconnected, TimeoutError)):
            _note(folder, delivery, "refused")
        raise InfraError(f"{settings.server} did not take the mail: {_words(error)}",
                         hint="check git's sendemail.* settings") from error  # fmt: skip


def _smtp(message: EmailMessage, settings: MailSettings, recipients: Sequence[str]) -> str:
    context = ssl.create_default_context()
    name = settings.domain or None
    if settings.encryption == "ssl":
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.server, settings.port or 465, local_hostname=name, timeout=_TIMEOUT, context=context
        )
    else:
        client = smtplib.SMTP(settings.server, settings.port or (587 if settings.encryption else 25),
                              local_hostname=name, timeout=_TIMEOUT)  # fmt: skip
    with contextlib.closing(client):
        if settings.encryption == "tls":
            client.starttls(context=context)
        if settings.user:
            client.login(settings.user, settings.password)
        refused = client.send_message(message, parseaddr(settings.sender)[1], list(recipients))
        # The mail is with the server: what it answers to QUIT changes nothing.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
    return _refusals(refused)


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{who}: {_flat(why[1].decode(errors='replace'))}" for who, why in refused.items())


def _words(error: Exception) -> str:
    """On one line, also when the server said more."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _refusals(error.recipients)
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {_flat(said.decode(errors='replace') if isinstance(said, bytes) else said)}"
    return _flat(str(error)) or type(error).__name__


def _flat(text: str) -> str:
    return " ".join(text.split())
