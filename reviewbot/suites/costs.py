# SPDX-License-Identifier: GPL-2.0-or-later
"""What smoke's check of costs says of each kind of operation, taken with distrust."""

import re

from reviewbot.model.figures import Cost

MOST = 50
"""Kinds of operations."""
_LINE = re.compile(
    r"^cost ([a-z]{1,20}) (\d{1,6}) (-|\d{1,9}) (-|\d{1,9}) (-|\d{1,9}) (-|\d{1,9}) (\d{1,9}(?:\.\d{1,4})?)$",
    re.MULTILINE | re.ASCII,
)


def costs(output: str) -> dict[str, Cost]:
    """Kind -> what it costs, from lines `cost NAME OPERATIONS SERVER_KIB STEADY_KIB KERNEL_KIB KERNEL_OBJECTS TIMES`;
    others are passed over.
    """
    found = {}
    for name, operations, server, steady, kernel, objects, times in _LINE.findall(output)[:MOST]:
        found[name] = Cost(
            operations=int(operations),
            server_kib=_known(server),
            server_steady_kib=_known(steady),
            kernel_kib=_known(kernel),
            kernel_objects=_known(objects),
            times=float(times),
        )
    return found


def _known(word: str) -> int | None:
    return None if word == "-" else int(word)
