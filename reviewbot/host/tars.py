# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers of tar archives that a stranger may have made."""

import tarfile
from typing import Self

_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_LONGEST = 64 << 10
"""Bytes of a name."""


class BadHeader(tarfile.ReadError):
    """A header that none of our own programs writes."""

    def __init__(self, name: str) -> None:
        super().__init__("a header that reviewbot never writes")
        self.name = name


class Header(tarfile.TarInfo):
    """For `tarfile.open(tarinfo=…)`: raises BadHeader for the extended headers of pax, and for names without end.

    tarfile reads both into memory, and takes minutes for some kilobytes of digits in an extended header
    (CVE-2024-6232). So all that strangers' archives are read with is GNU's format, for which long names are no trouble.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        entry = super().frombuf(buf, encoding, errors)
        special = entry.type not in (*tarfile.REGULAR_TYPES, tarfile.SYMTYPE, tarfile.DIRTYPE)
        if entry.type in _EXTENDED or (special and entry.size > _LONGEST):
            raise BadHeader(entry.name)
        return entry
