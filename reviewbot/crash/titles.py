# SPDX-License-Identifier: GPL-2.0-or-later
"""Headlines without what differs from one crash to the next."""

import re

_CUTS = (
    (r"\bCPU: \d+ (?:UID: \d+ )?PID: \d+ at (\S+?):\d+ (\S+)", r"\1 at \2"),  # the words before 6.19, as since
    (r",? CPU#\d+: .*", ""),
    (r" in /\S*?/(?=(?:arch|block|crypto|drivers|fs|include|io_uring|ipc|kernel|lib|mm|net|security)/)", " in "),
    (r"\.(?:isra|constprop|part|cold|llvm)(?:\.\d+)*\b", ""),
    (r"\+0x[0-9a-f]+/0x[0-9a-f]+", ""),
    (r"(\.(?:[chS]|rs)):\d+(?::\d+)?", r"\1"),
    (r",? (?:address:|at virtual address|for address:|(?=probably )|total-vm:|gfp_mask=|cpu=).*", ""),
    (r" \[#\d+\].*", ""),
    (r" in range \[.*", ""),
    (r",? for (?:more than )?\d+ ?s(?:ec(?:ond)?s?)?\b\.?", ""),
    (r"kworker/[^\s\]]+", "kworker"),
    (r"\b(comm|task) (\S.*?):\d+", r"\1 \2"),
    (r"\[([^\]\n:]+):\d+\]", r"[\1]"),
    (r"\b([\w.-]+)/\d+(?:/0x[0-9a-f]+)?", r"\1"),
    (r"\bCPU#?\d+|\b(?:on )?cpu \d+", "CPU"),
    (r"\s*\bpfn:\S+", ""),
    (r"\b(?:0x)?[0-9a-f]{8,16}\b|\b0x[0-9a-f]+", ""),
    (r"\b(process|pid|PID:?) \d+", r"\1"),
    (r"\b\d+ (?=new suspected)", ""),
)
_RULES = tuple((re.compile(pattern), words) for pattern, words in _CUTS)


def shortened(headline: str) -> str:
    """A headline without addresses, processes, CPUs and line numbers; one line, at most 200 characters."""
    title = headline.strip()[:500]
    for rule, words in _RULES:
        title = rule.sub(words, title)
    return re.sub(r"\s+", " ", title).strip(" :,.-")[:200]
