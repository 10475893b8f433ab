# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a splat happened: its functions, the one at fault first, and its title as syzbot has it."""

import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from reviewbot.crash.names import bucket, dispatchers, hard_noise, matcher, noise, plain, system_call, tested
from reviewbot.crash.titles import shortened
from reviewbot.crash.traces import after, functions, pointer, stalled_functions
from reviewbot.model.splats import SplatPattern

DEPTH = 5
"""Functions of a fingerprint."""
_LOOPS = ("stall", "lockup")
_FUNCTION = r"(?:\[<[0-9a-f]+>\] ?)?([A-Za-z_]\w*)[\w.]*\+0x[0-9a-f]+"


def telling(lines: Sequence[str], entry: SplatPattern) -> tuple[str, ...]:
    """The first functions after noise, the one at fault in front, at most DEPTH. Where all is noise, the noise."""
    found = _found(lines, entry)
    quiet = _quiet(found, entry) or tuple(n for n in found if not (hard_noise().match(n) or _skipped(n, entry)))
    if not quiet and (named := _named(lines, entry)):
        quiet = (named,)  # the log ends before the trace gets there
    own = pointer(lines) if entry.choose == "innermost" else ""
    if own and not (_skipped(own, entry) or hard_noise().match(own)):
        quiet = (own, *(name for name in quiet if name != own))
    if place := _place(lines, found, quiet, entry):
        quiet = (place, *(name for name in quiet if name != place))
    first, *others = quiet or found or ("",)
    return (system_call(first), *others)[:DEPTH] if first else ()


def _found(lines: Sequence[str], entry: SplatPattern) -> tuple[str, ...]:
    return stalled_functions(lines) if entry.choose == "stall" else functions(lines)


def title_of(headline: str, lines: Sequence[str], entry: SplatPattern) -> str:
    """`KASAN: slab-use-after-free Read in fuse_dev_do_write`; empty when nothing is left of the headline."""
    if not entry.title:
        return shortened(headline)
    groups: dict[str, str] = defaultdict(str)
    for found in (re.match(entry.pattern, headline), _search(entry.words, lines)):
        groups.update({name: value or "" for name, value in (found.groupdict() if found else {}).items()})
    words = shortened(entry.title.format_map(groups))
    if entry.kind == "panic":
        words = re.sub(r"(?<=\W)\d+(?!\w)", "NUM", words)
    if not entry.place:
        return words
    place = next(iter(telling(lines, entry)), "")
    return f"{words} in {place}"[:200] if place else words


def _place(lines: Sequence[str], found: Sequence[str], quiet: Sequence[str], entry: SplatPattern) -> str:
    """The function at fault, where it is not simply the first after noise."""
    match entry.choose:
        case "hang":
            return next((name for one in found if (name := bucket(one, "hang"))), "") or _blamed(found, entry)
        case "stall" | "lockup" if any(tested().match(name) for name in quiet[:DEPTH]):
            return ""
        case "stall" | "lockup" | "overflow":
            return _before_dispatcher(found)
        case "innermost":
            return _said(lines, entry) or _below(lines, entry)


def _before_dispatcher(found: Sequence[str]) -> str:
    """The last function before one that calls what the kernel is asked for."""
    before = ""
    for name in found:
        if name_of_all := bucket(name, "stall"):
            return name_of_all
        if _dispatches(name):
            return before
        if not noise().match(name):
            before = name
    return ""


def _dispatches(name: str) -> bool:
    return bool(dispatchers().match(name) or dispatchers().match(system_call(name)))


def _blamed(found: Sequence[str], entry: SplatPattern) -> str:
    """The first function that is neither noise nor a way of waiting."""
    return next((name for name in found if not _noisy(name, entry)), "")


def _below(lines: Sequence[str], entry: SplatPattern) -> str:
    return _blamed(after(lines, _compiled(entry.after)), entry) if entry.after else ""


def _said(lines: Sequence[str], entry: SplatPattern) -> str:
    return next((name for name in _at(lines, entry) if not _noisy(name, entry)), "")


def _named(lines: Sequence[str], entry: SplatPattern) -> str:
    return next(_at(lines, entry), "")


def _at(lines: Sequence[str], entry: SplatPattern) -> Iterator[str]:
    """The functions that the words of the report name."""
    for pattern in entry.at:
        if found := _search(pattern.replace("FUNC", _FUNCTION).replace("NAME", r"([A-Za-z_]\w*)"), lines):
            yield plain(found[1])


def _quiet(found: Sequence[str], entry: SplatPattern) -> tuple[str, ...]:
    """Without noise. What a hang and a trace of its own skip is no noise: it only is not at fault."""
    skips = entry.choose != "hang" and not entry.after
    left = [name for name in found if not (_noisy(name, entry) if skips else noise().match(name))]
    if entry.choose not in _LOOPS:
        return tuple(left)
    return tuple(dict.fromkeys(bucket(name, "stall") or name for name in left))


def _noisy(name: str, entry: SplatPattern) -> bool:
    return bool(noise().match(name)) or _skipped(name, entry)


def _skipped(name: str, entry: SplatPattern) -> bool:
    return bool(matcher(entry.skip).match(name))


def _search(pattern: str, lines: Sequence[str]) -> re.Match[str] | None:
    return _compiled(pattern).search("\n".join(lines)) if pattern else None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)
