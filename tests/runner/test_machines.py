# SPDX-License-Identifier: GPL-2.0-or-later
"""As many machines as the host has room for."""

import os

import pytest

from reviewbot.config import Machine
from reviewbot.runner.machines import OVERHEAD, available_mib, by_room, how_many


@pytest.mark.parametrize(
    ("machine", "cores", "available", "count"),
    [
        (Machine(cpus=1), 2, 64000, 2),
        (Machine(cpus=2), 2, 64000, 2),
        (Machine(cpus=2), 8, 64000, 8),
        (Machine(cpus=4), 8, 64000, 4),
        (Machine(cpus=16), 4, 64000, 2),
        (Machine(cpus=2), 1, 64000, 1),
        (Machine(memory=2048), 8, 3 * (2048 + OVERHEAD["tcg"]), 3),
        (Machine(memory=2048), 8, 500, 1),
    ],
)
def test_cores_and_memory_bound_them_and_one_there_is(machine: Machine, cores: int, available: int, count: int) -> None:
    found, why = by_room(machine, "tcg", cores=cores, available=available)
    assert found == count and why


def test_the_site_file_has_the_last_word() -> None:
    assert how_many(Machine(vms=7), "tcg")[0] == 7
    assert 1 <= how_many(Machine(memory=512), "kvm")[0] <= (os.cpu_count() or 1)


def test_what_memory_is_available() -> None:
    assert available_mib() > 0
