# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that waits for what another one builds says for whom."""

import threading
from collections.abc import Mapping
from pathlib import Path

from reviewbot.model.artifacts import Fact
from reviewbot.model.progress import Event
from reviewbot.store import Store, saying
from reviewbot.store.damage import untold


def test_the_second_of_two_runs_names_the_first_and_what_it_builds(tmp_path: Path) -> None:
    events: list[Event] = []
    waits, builds = threading.Event(), threading.Event()

    def heard(event: Event) -> None:
        events.append(event)
        waits.set()

    def slowly(folder: Path) -> Mapping[str, Fact]:
        builds.set()
        assert waits.wait(60), "the other run waits"
        return {}

    first = threading.Thread(target=lambda: Store(tmp_path, who="run A").get("kernel", {}, slowly))
    first.start()
    assert builds.wait(60)
    second = Store(tmp_path, untold, "run B", saying(heard))
    assert second.get("kernel", {}, lambda folder: {"never": True}).facts == {}
    first.join(60)
    assert events == [Event("build", "kernel", "say", "kernel is waiting for run A, which is building kernel")]


def test_another_run_that_does_not_say_who_it_is_is_waited_for_all_the_same(tmp_path: Path) -> None:
    said: list[str] = []
    saying(lambda event: said.append(event.text))("guest", "")
    assert said == ["guest is waiting for another run"]
