# SPDX-License-Identifier: GPL-2.0-or-later
"""What the servers of a FUSE leg took and were asked: one line per leg."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from reviewbot.model.artifacts import Fact
from reviewbot.model.figures import ServerFigures
from reviewbot.model.results import LegResult, TestResult
from reviewbot.model.words import counted, test_name
from reviewbot.report.record import Record

_OPCODES = 3
"""Kinds of requests that a line names."""
_TESTS = 3
"""Tests that a line names."""
_MAPPINGS, _THROUGH_SERVER = ("IOMAP_BEGIN", "4094"), ("READ", "WRITE")
"""Requests for a mapping (a kernel without the trace patches has a number only), and those that carry a file's data."""


def server_lines(record: Record) -> list[str]:
    """`fuse4fs: servers used 83 s of CPU, at most 41.2 MiB each (generic/013), …` for each leg that was measured."""
    legs = record.results.legs if record.results else ()
    return [f"{leg.leg}: {words}" for leg in legs if (words := _words(leg))]


def _words(leg: LegResult) -> str:
    measured = [(test, test.server) for test in leg.tests if test.server]
    said = []
    seconds = [figures.cpu_seconds for _, figures in measured if figures.cpu_seconds is not None]
    if seconds:
        said.append(
            f"servers used {sum(seconds):.3g} s of CPU"
            if sum(seconds) < 100
            else f"servers used {sum(seconds):.0f} s of CPU"
        )
    if peak := _highest(measured, lambda figures: figures.pss_kib):
        said.append(f"at most {peak[1] / 1024:.1f} MiB each (in {peak[0]})")
    if asked := _requests(figures.requests for _, figures in measured):
        said.append(asked)
    if "iomap_probe" in leg.proofs and (moved := _by_iomap(measured)):
        said.append(moved)
    if "service_uid" in leg.proofs:
        said.append(_contained(leg.proofs))
    if slowest := _highest(measured, lambda figures: figures.umount_seconds_max):
        said.append(f"exited at most {slowest[1]:.1f} s after umount (in {slowest[0]})")
    if late := sum(figures.umounts_late for _, figures in measured):
        said.append(f"{counted(late, 'server')} did not exit within the limit")
    return ", ".join(said)


def _contained(proofs: Mapping[str, Fact]) -> str:
    """`ran contained: user 61599, no capabilities, seccomp filter`."""
    rights = proofs.get("service_capabilities", "unknown")
    said = [f"user {proofs['service_uid']}", "no capabilities" if rights == "none" else f"capabilities {rights}"]
    return f"ran contained: {', '.join(said + ['seccomp filter'] * (proofs.get('service_seccomp') is True))}"


def _highest(
    measured: Sequence[tuple[TestResult, ServerFigures]], of: Callable[[ServerFigures], float | None]
) -> tuple[str, float] | None:
    known = [
        (test_name(test.suite, test.test), value) for test, figures in measured if (value := of(figures)) is not None
    ]
    return max(known, key=lambda pair: pair[1], default=None)


def _requests(told: Iterable[dict[str, int] | None]) -> str:
    """`got 1.2 M requests (LOOKUP 40 %, GETATTR 22 %, READ 10 %)`, or nothing."""
    total: Counter[str] = Counter()
    for requests in told:
        total.update(requests or {})
    if not total:
        return ""
    number = total.total()
    shares = ", ".join(f"{name} {100 * count / number:.0f} %" for name, count in total.most_common(_OPCODES))
    return f"got {_short(number)} ({shares})"


def _by_iomap(measured: Sequence[tuple[TestResult, ServerFigures]]) -> str:
    """What a leg that proved iomap moved by it, and in which tests data went through the server all the same.

    A mapping stands for any number of bytes, so this is a share of requests; none through the server is exact.
    """
    asked = [(test.test, figures.requests) for test, figures in measured if figures.requests]
    mappings = sum(requests.get(name, 0) for _, requests in asked for name in _MAPPINGS)
    through = {test: sum(requests.get(name, 0) for name in _THROUGH_SERVER) for test, requests in asked}
    total = sum(through.values())
    if not mappings + total:
        return ""
    if not total:
        return f"passed {counted(mappings, 'mapping')} to iomap and transferred no data itself"
    worst = sorted((test for test in through if through[test]), key=lambda test: (-through[test], test))
    more = f" and {len(worst) - _TESTS} more" if len(worst) > _TESTS else ""
    return (
        f"passed {counted(mappings, 'mapping')} to iomap and transferred data itself {counted(total, 'time')} "
        f"({100 * mappings / (mappings + total):.1f} % by iomap; in {', '.join(worst[:_TESTS])}{more})"
    )


def _short(number: int) -> str:
    if number < 10_000:
        return counted(number, "request")
    return f"{number / 1e6:.1f} M requests" if number >= 1_000_000 else f"{number / 1000:.0f} k requests"
