# SPDX-License-Identifier: GPL-2.0-or-later
"""Bring one mail to a server, or to a program like sendmail."""

import contextlib
import smtplib
import ssl
import time
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import parseaddr

from reviewbot.host.process import CommandFailed, ToolMissing, run
from reviewbot.post.outbox import NotTaken
from reviewbot.post.settings import MailSettings

PAUSES = (2.0, 10.0)
"""Seconds before the second and the third try of one call."""
_TIMEOUT = 60.0


def carry(
    message: EmailMessage,
    raw: bytes,
    settings: MailSettings,
    recipients: Sequence[str],
    pauses: Sequence[float] = PAUSES,
) -> str:
    """Returns who was refused while others were not, and why; empty when all were taken.

    raw: the mail as it goes to a program. Raises NotTaken; other exceptions mean that the mail may have arrived.
    """
    for pause in (*pauses, None):
        try:
            return _once(message, raw, settings, recipients)
        except NotTaken as error:
            if not error.again or pause is None:
                raise
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _once(message: EmailMessage, raw: bytes, settings: MailSettings, recipients: Sequence[str]) -> str:
    sender = parseaddr(settings.sender)[1]
    if settings.server.startswith("/"):
        try:
            run([settings.server, "-i", "-f", sender, "--", *recipients], stdin=raw, timeout=120)
        except ToolMissing as error:
            raise NotTaken(_words(error), again=False) from error
        except CommandFailed as error:
            raise NotTaken(_words(error), again=error.status == _EX_TEMPFAIL) from error
        return ""
    with contextlib.closing(_connected(settings)) as client:
        try:
            refused = client.send_message(message, sender, list(recipients))
        except (smtplib.SMTPServerDisconnected, TimeoutError):
            raise  # perhaps after the last byte
        except (smtplib.SMTPException, ValueError) as error:
            raise NotTaken(_words(error), again=_transient(error)) from error
        # The mail is with the server: what it answers to QUIT changes nothing.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
    return refusals(refused)


_EX_TEMPFAIL = 75
"""sysexits.h: try later."""


def _connected(settings: MailSettings) -> smtplib.SMTP:
    """Greeted, encrypted, logged in. Raises NotTaken."""
    context, name = ssl.create_default_context(), settings.domain or None
    client: smtplib.SMTP | None = None
    try:
        if settings.encryption == "ssl":
            client = smtplib.SMTP_SSL(
                settings.server, settings.port or 465, local_hostname=name, timeout=_TIMEOUT, context=context
            )
        else:
            port = settings.port or (587 if settings.encryption else 25)
            client = smtplib.SMTP(settings.server, port, local_hostname=name, timeout=_TIMEOUT)
        if settings.encryption == "tls":
            client.starttls(context=context)
        if settings.user:
            client.login(settings.user, settings.password)
        return client
    except (smtplib.SMTPException, OSError, ValueError) as error:
        if client is not None:
            client.close()
        raise NotTaken(_words(error), again=_transient(error)) from error


def _transient(error: Exception) -> bool:
    """Whether time may heal it: a 4xx answer, or no connection. A certificate that nobody vouches for does not."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLCertVerificationError | smtplib.SMTPException)


def refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    """`who: why; who: why`, on one line."""
    return "; ".join(f"{who}: {_flat(why[1].decode(errors='replace'))}" for who, why in refused.items())


def _words(error: Exception) -> str:
    """On one line, also when the server said more."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return refusals(error.recipients)
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {_flat(said.decode(errors='replace') if isinstance(said, bytes) else said)}"
    return _flat(str(error)) or type(error).__name__


def _flat(text: str) -> str:
    return " ".join(text.split())
