# SPDX-License-Identifier: GPL-2.0-or-later
"""Each artifact is built once, whole, and found again."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from reviewbot.model.artifacts import Fact
from reviewbot.model.errors import UsageError
from reviewbot.store import Durations, Runs, Store


def fill(folder: Path) -> Mapping[str, Fact]:
    (folder / "file").write_text("content")
    return {"answer": 42}


def test_the_same_inputs_are_built_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.get("thing", {"a": "1"}, fill)
    again = store.get("thing", {"a": "1"}, lambda folder: pytest.fail("built twice"))
    assert (first.reused, again.reused) == (False, True)
    assert first.path == again.path
    assert again.facts == {"answer": 42}
    assert store.get("thing", {"a": "2"}, fill).path != first.path


def _slow(root: str, log: str) -> None:
    def build(folder: Path) -> Mapping[str, Fact]:
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.5)
        return {}

    Store(Path(root)).get("thing", {}, build)


def test_two_processes_that_ask_at_once_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    workers = [context.Process(target=_slow, args=(str(tmp_path / "store"), str(log))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_what_was_dropped_is_built_again_and_nothing_newer_is_dropped(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = store.get("thing", {"a": "1"}, fill)
    assert [a.key for a in store.of("thing")] == [old.key] and list(store.of("thin")) == []
    store.drop(old)
    assert store.find("thing", {"a": "1"}) is None and list(store.of("thing")) == []
    store.drop(old)
    new = store.get("thing", {"a": "1"}, fill)
    store.drop(old)
    assert store.find("thing", {"a": "1"}) == new.model_copy(update={"reused": True})


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> Mapping[str, Fact]:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.get("thing", {}, fail)
    assert list((tmp_path / "building").iterdir()) == []
    assert store.find("thing", {}) is None
    assert store.get("thing", {}, fill).facts == {"answer": 42}


def test_a_build_that_is_killed_leaves_nothing_that_counts(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from reviewbot.store import Store\n"
        "def build(folder):\n (folder / 'half').write_text('x'); print('in', flush=True); time.sleep(1000)\n"
        f"Store(Path({str(tmp_path)!r})).get('thing', {{}}, build)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = Store(tmp_path)
    assert store.find("thing", {}) is None
    artifact = store.get("thing", {}, fill)
    assert sorted(p.name for p in Path(artifact.path).iterdir()) == ["artifact.json", "file"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        store = Store(disk)
        kept = store.get("small", {}, fill)

        def big(folder: Path) -> Mapping[str, Fact]:
            (folder / "file").write_bytes(bytes(1 << 20))
            return {}

        with pytest.raises(OSError, match="No space left"):
            store.get("big", {}, big)
        assert store.find("big", {}) is None
        assert store.find("small", {}) is not None
        assert (Path(kept.path) / "file").read_text() == "content"
    finally:
        subprocess.run(["umount", disk], check=True)


def test_durations_survive_a_damaged_file(tmp_path: Path) -> None:
    durations = Durations(tmp_path / "d.json")
    durations.put("kernel", 376.2)
    assert durations.get("kernel") == 376.2
    (tmp_path / "d.json").write_text("{broken")
    assert durations.get("kernel") is None
    durations.put("kernel", 1.0)
    assert durations.get("kernel") == 1.0


def test_runs_are_found_by_id_prefix_and_latest(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    assert runs.list() == ()
    first, second = runs.create(), runs.create()
    assert runs.find(first.id) == first
    assert runs.find("latest") == max(first, second, key=lambda run: run.id)
    with pytest.raises(UsageError, match="more than one run"):
        runs.find("20")
    with pytest.raises(UsageError, match="no such run"):
        runs.find("1999")
