# SPDX-License-Identifier: GPL-2.0-or-later
"""When a guest's programs stand still. What its kernel tells is played here; test_watchdog_vm.py has a real one."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reviewbot.host.data import data_path


@dataclass
class Guest:
    """What the kernel would tell."""

    clock: float = 0.0
    ticks: dict[int, int] = field(default_factory=lambda: {100: 5, 101: 7})
    disks: str = "vdd 10 20 "
    waiting: bool = True


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Guest, Any]]:
    """The guest, and the module that looks at it."""
    monkeypatch.syspath_prepend(data_path("qemu/agent"))
    module, played = importlib.import_module("standstill"), Guest()
    monkeypatch.setattr(module.time, "monotonic", lambda: played.clock)
    monkeypatch.setattr(module, "used", lambda: dict(played.ticks))
    monkeypatch.setattr(module, "disks", lambda: played.disks)
    monkeypatch.setattr(module, "waits", lambda: played.waiting)
    yield played, module
    for name in ("standstill", "hang", "texts"):
        sys.modules.pop(name, None)


def stuck(guest: Guest, module: Any, seconds: float, meanwhile: Callable[[int], None] = lambda second: None) -> float:
    """When it is said to stand still, within so many seconds; 0: never."""
    still = module.Standstill(30.0)
    for second in range(int(seconds)):
        guest.clock += 1.0
        meanwhile(second)
        if still.now():
            assert still.stood >= 30.0
            return guest.clock
    return 0.0


def test_nothing_moves_and_somebody_waits(guest: tuple[Guest, Any]) -> None:
    assert 30 <= stuck(*guest, 100) <= 34


def test_who_only_sleeps_waits_for_nobody(guest: tuple[Guest, Any]) -> None:
    guest[0].waiting = False
    assert not stuck(*guest, 300)


@pytest.mark.parametrize(
    "moves",
    [
        lambda guest, second: guest.ticks.update({100: 5 + second // 10}),
        lambda guest, second: guest.ticks.update({200 + second // 20: 0}),
        lambda guest, second: setattr(guest, "disks", f"vdd {second // 20} 20 "),
    ],
    ids=["a program runs now and then", "programs begin", "a disk is read"],
)
def test_whatever_moves_is_waited_for(guest: tuple[Guest, Any], moves: Callable[[Guest, int], None]) -> None:
    assert not stuck(*guest, 300, lambda second: moves(guest[0], second))


def test_a_clock_that_jumps_alone_says_nothing(guest: tuple[Guest, Any]) -> None:
    """The host gave the machine no time."""
    assert not stuck(*guest, 6, lambda second: setattr(guest[0], "clock", guest[0].clock + 60))


def test_a_program_that_ran_before_it_stood_still(guest: tuple[Guest, Any]) -> None:
    played = guest[0]
    assert 130 <= stuck(*guest, 300, lambda second: played.ticks.update({100: min(second, 100)})) <= 136


def test_this_host_is_read_as_a_guest_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(data_path("qemu/agent"))
    module = importlib.import_module("standstill")
    used, disks = module.used(), module.disks()
    assert os.getppid() in used and os.getpid() not in used
    assert all(f"{place.name} " in disks for place in Path("/sys/block").iterdir())
