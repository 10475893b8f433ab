# SPDX-License-Identifier: GPL-2.0-or-later
"""`#m0123…` at the end of a thread's URL: public-inbox names a mail there by the SHA-1 of its Message-ID."""

import hashlib
import re

from reviewbot.intake.mbox import Mailbag
from reviewbot.intake.names import MessageId

_ID = re.compile(rb"^message-id:\s*<([^<>\s]+)>", re.IGNORECASE | re.MULTILINE)


def mail_of_anchor(bag: Mailbag, name: MessageId) -> str:
    """Message-ID of the mail that the URL points to; the one in its path if the anchor fits none."""
    if name.anchor:
        for raw in bag.mails:
            found = _ID.search(raw.split(b"\n\n", 1)[0])
            # The name of a place on a page, no protection of anything.
            if found and hashlib.sha1(found[1], usedforsecurity=False).hexdigest() == name.anchor:
                return found[1].decode(errors="replace")
    return name.id
