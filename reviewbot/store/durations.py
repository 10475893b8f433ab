# SPDX-License-Identifier: GPL-2.0-or-later
"""How long things took the last time: for progress to say how long they should take, and for tests' limits.

A machine of a patched stack may say anything of its tests. So what it says is kept in a file of its own and used for
the very same stack only; what machines of unpatched stacks say is used for all.
"""

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked

MOST_SLOW = 40.0
"""No machine counts as slower than this, whatever it measured; the lab's limits grow no further either."""
MOST_SECONDS = 7 * 24 * 3600.0
"""No test takes longer than this."""
_APART = 32
"""Patched stacks whose seconds are kept."""
_COMMON = 5
"""Tests that two legs must have in common before one is scaled by the other."""


@dataclass(frozen=True, slots=True)
class TestSeconds:
    """How long a test takes on a machine of slow factor 1."""

    __test__ = False  # pytest: not a test class

    seconds: float
    own: bool
    """True: measured in this leg with this accelerator; False: inferred from others."""


class Durations:
    """A small JSON file: name of a thing -> seconds of its last success. A damaged file counts as empty."""

    def __init__(self, path: Path, typical: Mapping[str, float] | None = None, stack: str = "") -> None:
        """typical: `fstests/generic/001` -> seconds of which nothing better is known. stack: see `apart`."""
        self.path = path
        self.typical = typical or {}
        self.own = path.with_suffix("") / f"{stack}.json" if stack else None
        """Where tests of a patched stack are kept."""

    def apart(self, stack: str) -> "Durations":
        """The same for machines of a patched stack: what they say is for this stack alone.

        stack: its hash, hex; empty: of an unpatched one.
        """
        return Durations(self.path, self.typical, stack)

    def get(self, name: str) -> float | None:
        return _read(self.path).get(name)

    def put(self, name: str, seconds: float) -> None:
        """seconds: measured by the host."""
        self._update(self.path, {name: seconds})

    def tests(self, leg: str, accelerator: str) -> dict[str, TestSeconds]:
        """`fstests/generic/001` -> how long it takes in this leg, as far as any leg knows.

        leg: its name, with the variant as in `ext4[kasan]`. A leg of a variant learns from the plain ones and from
        those of its own variant; the plain ones learn from no variant.
        """
        known: dict[tuple[str, str], dict[str, float]] = {}
        for name, seconds in {**_read(self.path), **_read(self.own)}.items():
            words = name.split(" ")
            if words[0] == "test" and len(words) == 4 and _variant(words[1]) in ("", _variant(leg)):
                known.setdefault((words[1], words[2]), {})[words[3]] = seconds
        return estimates(known.pop((leg, accelerator), {}), list(known.values()), self.typical)

    def put_tests(self, leg: str, accelerator: str, seconds: Mapping[str, float]) -> None:
        """seconds: of tests that passed, divided by the slow factor of their machine. Impossible ones are left out.

        The factor is measured in a moment and errs by half when the host is busy, so that one lucky run must not make
        a limit too low: a smaller value counts as half.
        """
        named = {f"test {leg} {accelerator} {test}": value for test, value in seconds.items() if _possible(value)}
        self._update(self.own or self.path, named, lambda old, new: max(new, (old + new) / 2))
        if self.own and named:
            _forget_old(self.own.parent)

    def slow(self, accelerator: str) -> float | None:
        """How much slower than a good machine those with this accelerator are on this host."""
        return {**_read(self.path), **_read(self.own)}.get(f"slow {accelerator}")

    def slowest(self, accelerator: str) -> float | None:
        """The same of other hosts with this accelerator, of whatever kind: the most."""
        known = {**_read(self.path), **_read(self.own)}
        return max((factor for name, factor in known.items() if name.startswith(f"slow {accelerator}@")), default=None)

    def put_slow(self, accelerator: str, factor: float) -> None:
        """factor: that a machine measured when it booted. One that a busy host made it measure counts as half."""
        if math.isnan(factor):
            return
        within = min(max(factor, 1.0), MOST_SLOW)
        name = f"slow {accelerator}"
        self._update(self.own or self.path, {name: within}, lambda old, new: min(new, (old + new) / 2))

    @staticmethod
    def _update(
        path: Path, new: Mapping[str, float], joined: Callable[[float, float], float] = lambda old, new: new
    ) -> None:
        if not new:
            return
        with locked(path.with_suffix(".lock")):
            known = _read(path)
            known |= {name: round(joined(known[name], s) if name in known else s, 3) for name, s in new.items()}
            write_atomic(path, json.dumps(known, indent=0, sort_keys=True))


def _read(path: Path | None) -> dict[str, float]:
    try:
        data = json.loads(path.read_bytes()) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return {k: v for k, v in data.items() if _possible(v)} if isinstance(data, dict) else {}


def _possible(seconds: object) -> bool:
    return type(seconds) in (int, float) and isinstance(seconds, float | int) and 0 <= seconds <= MOST_SECONDS


def _forget_old(folder: Path) -> None:
    """Keep those of the stacks that were tested last."""
    with contextlib.suppress(OSError):
        files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_APART:]:
            path.unlink()
            path.with_suffix(".lock").unlink(missing_ok=True)


def _variant(leg: str) -> str:
    """`kasan` of `ext4[kasan]`."""
    return leg.partition("[")[2].rstrip("]")


def _scale(own: Mapping[str, float], other: Mapping[str, float]) -> float:
    ratios = [own[test] / seconds for test, seconds in other.items() if test in own and seconds > 0]
    return median(ratios) if len(ratios) >= _COMMON else 1.0


def estimates(
    own: Mapping[str, float], others: Sequence[Mapping[str, float]], typical: Mapping[str, float] | None = None
) -> dict[str, TestSeconds]:
    """What is known of each test: its own seconds, or the most that another leg suggests, or what is typical.

    What is not its own is scaled by the median ratio over the tests that both know, if these are five or more.
    """
    typical = typical or {}
    scale = _scale(own, typical)
    found = {test: TestSeconds(seconds * scale, own=False) for test, seconds in typical.items()}
    for test in {test for other in others for test in other}:
        found.pop(test, None)
    for other in others:
        scale = _scale(own, other)
        for test, seconds in other.items():
            if test not in found or found[test].seconds < seconds * scale:
                found[test] = TestSeconds(seconds * scale, own=False)
    return found | {test: TestSeconds(seconds, own=True) for test, seconds in own.items()}
