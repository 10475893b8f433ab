# SPDX-License-Identifier: GPL-2.0-or-later
"""git's own `sendemail.*` settings, so that what works for `git send-email` works here."""

import os
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.process import CommandFailed, run
from reviewbot.model.errors import UsageError


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How to send."""

    server: str
    """Host name, or the absolute path of a sendmail-like program."""
    port: int = 0
    """0: the encryption's default."""
    encryption: str = ""
    """``, `tls` (STARTTLS) or `ssl`."""
    user: str = ""
    password: str = ""
    sender: str = ""
    domain: str = ""


def read_settings(folder: Path) -> MailSettings:
    """As git sees them from `folder`, with `sendemail.identity` honoured. Raises UsageError when there is no server."""
    values = config(folder, "sendemail|user")
    identity = values.get("sendemail.identity", "")

    def get(name: str) -> str:
        return values.get(f"sendemail.{identity}.{name}", "") or values.get(f"sendemail.{name}", "")

    name, address = values.get("user.name", ""), values.get("user.email", "")
    sender = get("from") or (f"{name} <{address}>" if address else "")
    server = get("smtpserver")
    if not server:
        raise UsageError("git has no sendemail.smtpServer", hint="git config --global sendemail.smtpServer HOST")
    if not sender:
        raise UsageError("git has no sender for mail", hint="git config --global sendemail.from 'Name <address>'")
    port, encryption = get("smtpserverport"), get("smtpencryption").lower()
    if port and not port.isdigit():
        raise UsageError(f"sendemail.smtpServerPort is not a number: {port}")
    if encryption not in ("", "tls", "ssl", "none"):
        raise UsageError(f"sendemail.smtpEncryption is neither tls nor ssl: {encryption}")
    return MailSettings(
        server=server,
        port=int(port or 0),
        encryption=encryption.replace("none", ""),
        user=get("smtpuser"),
        password=get("smtppass"),
        sender=sender,
        domain=get("smtpdomain"),
    )


def config(folder: Path, sections: str) -> dict[str, str]:
    """Key in lower case (git keeps the case of the middle part) -> last value. sections: `a|b`."""
    where = {
        name: value for name, value in os.environ.items() if name.startswith("GIT_CONFIG") or name == "XDG_CONFIG_HOME"
    }
    command = ["git", "config", "--null", "--get-regexp", rf"^({sections})\."]
    try:
        said = run(command, cwd=folder, env=where, split=True).output
    except CommandFailed:
        return {}  # status 1: none is set
    found = {}
    for entry in filter(None, said.split("\0")):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        middle, _, name = rest.rpartition(".")
        found[".".join(filter(None, (section.lower(), middle, name.lower())))] = value
    return found
