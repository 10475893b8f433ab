# SPDX-License-Identifier: GPL-2.0-or-later
"""Mails that Python's parser takes too long for, or too much of: they are known as such before it sees them."""

import email
import email.policy
import re
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses

MAX_MAIL = 32 << 20
"""Bytes; a larger mail is not looked into. Lists take no patch of a hundredth of it."""
_HEADERS = 128 << 10
"""Bytes of all headers of a mail."""
_FIELD = 16 << 10
"""Bytes of what a part says of its content."""
_INSIDE = 40
"""Parts that have parts: for each that lies in another one the parser calls itself."""
_NESTED = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
_CONTENT = re.compile(rb"^content-[a-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)


def why_strange(raw: bytes) -> str:
    """Why a mail is not looked into; empty if it is."""
    if len(raw) > MAX_MAIL:
        return f"the mail is larger than {MAX_MAIL >> 20} MiB"
    start = raw[: _HEADERS + 4]
    if len(start) > _HEADERS and b"\n\n" not in start and b"\r\n\r\n" not in start:
        return f"the mail has more than {_HEADERS >> 10} KiB of headers"
    if any(len(found[0]) > _FIELD for found in _CONTENT.finditer(raw)):
        return f"a part of the mail has a header of more than {_FIELD >> 10} KiB"
    if sum(1 for _ in _NESTED.finditer(raw)) > _INSIDE:
        return f"more than {_INSIDE} parts of the mail have parts"
    return ""


def message_of(raw: bytes) -> Message:
    """The mail, parsed; of one that is not looked into the first headers, and no part."""
    if why_strange(raw):
        return BytesHeaderParser(policy=email.policy.compat32).parsebytes(raw[: 1 << 16])
    return email.message_from_bytes(raw, policy=email.policy.compat32)


def addresses(*fields: str) -> list[tuple[str, str]]:
    """Names and addresses, none of fields with so many brackets that Python gives up."""
    try:
        return [(name, address) for name, address in getaddresses(fields) if address]
    except RecursionError:
        return []


def address_of(field: str) -> str:
    """The first address, in lower case; empty if there is none."""
    return next((address.lower() for _, address in addresses(field)), "")
