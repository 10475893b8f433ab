# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest says how slow it is; the host knows how slow it can be."""

from pathlib import Path

import pytest

from reviewbot.lab import pace
from reviewbot.lab.pace import MOST, TIMES, believed, loop_seconds, possible

LOADS = {
    "idle": "0.00 0.10 0.20 1/90 4711",
    "busy": "16.00 9.00 4.00 3/300 4711",
    "just begun": "0.10 0.10 0.10 9/300 7",
}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host of two cores as fast as a desktop's; the file that tells its load."""
    monkeypatch.setattr(pace, "_LOAD", tmp_path / "loadavg")
    monkeypatch.setattr(pace, "loop_seconds", lambda: pace.DESKTOP)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    return tmp_path / "loadavg"


@pytest.mark.parametrize(("load", "crowd"), [("idle", 1.0), ("busy", 8.0), ("just begun", 4.5)])
def test_what_is_possible_grows_with_what_waits_for_a_core(host: Path, load: str, crowd: float) -> None:
    host.write_text(LOADS[load])
    assert possible("tcg") == TIMES["tcg"] * crowd
    assert possible("kvm") == TIMES["kvm"] * crowd


def test_a_slower_host_has_slower_machines(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write_text(LOADS["idle"])
    monkeypatch.setattr(pace, "loop_seconds", lambda: 2 * pace.DESKTOP)
    assert possible("kvm") == 2 * TIMES["kvm"]


@pytest.mark.parametrize(
    ("load", "claim", "factor", "noted"),
    [
        ("idle", 8.5, 8.5, False), ("idle", 0.1, 1.0, False), ("idle", 26.0, 25.0, False), ("idle", 51.0, 25.0, True),
        ("idle", 1e9, 25.0, True), ("busy", 46.0, MOST, False), ("busy", 1e9, MOST, True),
    ],
)  # fmt: skip
def test_a_claim_is_believed_up_to_that_and_noted_when_the_host_cannot_explain_it(
    host: Path, load: str, claim: float, factor: float, noted: bool
) -> None:
    host.write_text(LOADS[load])
    assert believed(claim, "tcg")[0] == factor
    assert bool(believed(claim, "tcg")[1]) == noted


def test_the_hosts_loop_is_the_guests() -> None:
    """Both count to the same number; a host that does nothing needs some milliseconds."""
    guest = (Path(__file__).parents[2] / "qemu" / "agent" / "boot.py").read_text()
    assert f"range({pace.LOOP:_})" in guest and f"/ {pace.DESKTOP}" in guest
    assert loop_seconds() > 0
