# SPDX-License-Identifier: GPL-2.0-or-later
"""What is removed and what is not: leftovers of killed processes, things unused for long, things that runs need."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reviewbot.host.locks import locked
from reviewbot.host.tempdirs import abandoned_temp, own_temp
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.store import RunFolder, Runs, Store
from reviewbot.store.cleaning import Limits, alone, leftovers, look, remove, size_of, sweep, using
from reviewbot.store.contents import RECORD

DAY = 86400.0
WORKS = """
import sys, tempfile
from pathlib import Path
from reviewbot.host.tempdirs import own_temp
from reviewbot.store import Runs, Store
root = Path(sys.argv[1])
def build(folder):
    (folder / "half").write_bytes(bytes(5000))
    print(run.id, tempfile.mkdtemp(), flush=True)
    sys.stdin.readline()
    return {}
with own_temp(), Runs(root / "runs").begin("reviewbot 1") as run:
    disks = run.logs("ext4", "ext4-smoke") / "disks"
    disks.mkdir()
    (disks / "TEST_DEV.img").write_bytes(bytes(5000))
    Store(root / "cache").get("kernel", {}, build)
"""


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of this test alone, for its processes, too."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    tempfile.tempdir = None


def at_it(root: Path) -> tuple["subprocess.Popen[str]", RunFolder, Path]:
    """A process in the middle of a build, its run, and a temporary folder of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    run, temporary = process.stdout.readline().split()
    return process, Runs(root / "runs").find(run), Path(temporary)


def test_what_a_killed_process_left_is_removed_and_nothing_of_one_that_works(tmp_path: Path) -> None:
    cache, runs = tmp_path / "cache", Runs(tmp_path / "runs")
    living, its_run, its_temporary = at_it(tmp_path)
    killed, run, temporary = at_it_elsewhere(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    left = {*leftovers(tmp_path / "other", runs)}
    assert temporary.parent in left and run.path / "logs" / "ext4" / "ext4-smoke" / "disks" in left
    assert any((tmp_path / "other" / "building").iterdir())
    assert sweep(tmp_path / "other", runs) > 2 * 4096
    assert not temporary.exists() and not list(run.path.rglob("disks"))
    assert not list((tmp_path / "other" / "building").iterdir())
    assert sweep(cache, runs) == 0
    assert its_temporary.exists() and list(its_run.path.rglob("disks")) and any((cache / "building").iterdir())
    record = run.record()
    assert record and record.ended and record.ended >= record.started and not run.left_open()
    living.communicate("\n")
    assert living.returncode == 0 and not its_temporary.exists()


def at_it_elsewhere(root: Path) -> tuple["subprocess.Popen[str]", RunFolder, Path]:
    """As `at_it`, with the same runs and another cache, since two do not build one artifact at once."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS.replace('"cache"', '"other"'), str(root)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    run, temporary = process.stdout.readline().split()
    return process, Runs(root / "runs").find(run), Path(temporary)


def test_looking_removes_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    killed, run, _ = at_it(tmp_path)
    killed.kill()
    killed.wait()
    found = [look(tmp_path / "cache", Runs(tmp_path / "runs"), Limits(unused=DAY)) for _ in range(2)]
    assert found[0].remove == found[1].remove and len(found[0].remove) == 3
    assert list(run.path.rglob("disks"))


def test_what_a_killed_repetition_left_in_a_run_that_is_over_is_removed_too(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs")
    with runs.begin("reviewbot 1") as run:
        pass
    disks = run.path / "reruns" / "reproduce.1" / "logs" / "ext4" / "ext4-smoke" / "disks"
    disks.mkdir(parents=True)
    with run.kept():
        assert list(leftovers(tmp_path / "cache", runs)) == []
    assert not run.left_open()
    (run.path / ".working-1").touch()  # of a process that was killed
    sweep(tmp_path / "cache", runs)
    assert not disks.exists() and not run.left_open()


def test_temporary_files_of_a_process_are_in_one_folder_that_goes_with_it(temporary_folder: Path) -> None:
    with own_temp() as base, tempfile.TemporaryDirectory() as inside:
        assert Path(inside).parent == base and base.parent == temporary_folder
        assert list(abandoned_temp()) == []
    assert list(temporary_folder.iterdir()) == []
    assert tempfile.gettempdir() == str(temporary_folder)


def test_other_temporary_folders_are_left_alone(temporary_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".lock").touch()
    (temporary_folder / "reviewbot-link").symlink_to(tmp_path / "elsewhere")
    (temporary_folder / "reviewbot-without-lock").mkdir()
    (temporary_folder / "other").mkdir()
    (temporary_folder / "other" / ".lock").touch()
    if os.geteuid() == 0:
        (temporary_folder / "reviewbot-strange").mkdir()
        (temporary_folder / "reviewbot-strange" / ".lock").touch()
        os.chown(temporary_folder / "reviewbot-strange", 12345, 12345)
    assert list(abandoned_temp()) == []


def artifact(cache: Path, kind: str, days: float, size: int = 8192) -> Artifact:
    """Last used so many days ago."""

    def fill(folder: Path) -> Mapping[str, Fact]:
        (folder / "file").write_bytes(os.urandom(size))
        return {}

    made = Store(cache).get(kind, {"days": str(days)}, fill)
    then = time.time() - days * DAY
    for path in (Path(made.path), Path(made.path) / RECORD):
        os.utime(path, (then, then))
    return made


def names(items: object) -> set[str]:
    assert isinstance(items, tuple)
    return {item.path.name.partition("-")[0] for item in items}


def needing(runs: Runs, made: Artifact) -> RunFolder:
    run = runs.create()
    run.write("lock.json", json.dumps({"artifacts": {"artifacts": {made.kind: made.model_dump(mode="json")}}}))
    return run


def test_what_was_not_used_for_long_goes_unless_a_kept_run_needs_it(tmp_path: Path) -> None:
    cache, runs = tmp_path / "cache", Runs(tmp_path / "runs")
    artifact(cache, "fresh", 1)
    artifact(cache, "old", 40)
    run = needing(runs, artifact(cache, "needed", 400))
    found = look(cache, runs, Limits(unused=30 * DAY))
    assert (names(found.remove), names(found.keep)) == ({"old"}, {"fresh", "needed"})
    assert {item.needed_by for item in found.keep} == {"", run.id}
    found = look(cache, runs, Limits(unused=30 * DAY, runs=(run.id,)))
    assert names(found.remove) == {"old", "needed", run.id.partition("-")[0]}


def test_a_use_is_remembered(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    made = artifact(cache, "old", 40)
    assert Store(cache).find("old", {"days": "40"}) == made.model_copy(update={"reused": True})
    assert look(cache, Runs(tmp_path / "runs"), Limits(unused=30 * DAY)).remove == ()


def test_to_be_within_a_size_what_was_used_last_stays(tmp_path: Path) -> None:
    cache, runs = tmp_path / "cache", Runs(tmp_path / "runs")
    for days in (1, 2, 3, 4):
        artifact(cache, f"used{days}", days, size=1 << 20)
    needing(runs, artifact(cache, "needed", 20, size=1 << 20))
    found = look(cache, runs, Limits(unused=30 * DAY, size=int(3.5 * (1 << 20))))
    assert names(found.remove) == {"used3", "used4"}
    assert found.size() <= 3.5 * (1 << 20)
    found = look(cache, runs, Limits(unused=30 * DAY, size=0))
    assert names(found.keep) == {"needed"}


def test_old_runs_go_when_asked_for_and_running_ones_stay(tmp_path: Path) -> None:
    cache, runs = tmp_path / "cache", Runs(tmp_path / "runs")
    with runs.begin("reviewbot 1") as over:
        pass
    with runs.begin("reviewbot 1") as running:
        later = time.time() + 100 * DAY
        assert look(cache, runs, Limits(unused=DAY), now=later).remove == ()
        found = look(cache, runs, Limits(unused=DAY, run_age=90 * DAY), now=later)
        assert [item.path for item in found.remove] == [over.path]
        assert running.path.exists()


def test_sources_and_objects_go_by_their_last_use_too(tmp_path: Path) -> None:
    cache, then = tmp_path / "cache", time.time() - 40 * DAY
    names = ("scratch/src/kernel", "scratch/obj/kernel-1", "layers/kernel-1", "repos/kernel.git", "lore/x", "apt/sid")
    for name in names:
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (then, then))
    (cache / "repos" / "kernel.git" / "FETCH_HEAD").touch()
    found = look(cache, Runs(tmp_path / "runs"), Limits(unused=30 * DAY))
    assert {str(item.path.relative_to(cache)) for item in found.remove} == {
        "scratch/src/kernel",
        "scratch/obj/kernel-1",
        "layers/kernel-1",
        "lore/x",
        "apt/sid",
    }


def test_what_is_removed_is_gone_and_is_built_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    made = artifact(cache, "old", 40)
    (item,) = look(cache, Runs(tmp_path / "runs"), Limits(unused=DAY)).remove
    with alone(cache) as free:
        assert free
        remove(cache, item)
    assert not Path(made.path).exists() and not list((cache / "checked").iterdir())
    assert not artifact(cache, "old", 40).reused


def test_nothing_is_removed_while_somebody_uses_the_cache(tmp_path: Path) -> None:
    with using(tmp_path), using(tmp_path), alone(tmp_path) as free:
        assert not free
    heard: list[str] = []
    with alone(tmp_path) as free:
        assert free
        handle = os.open(tmp_path / "locks" / "in-use.lock", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(handle)
    with using(tmp_path, waiting=heard.append):
        assert heard == []


def test_a_half_built_artifact_whose_builder_works_is_no_leaving(tmp_path: Path) -> None:
    (tmp_path / "cache" / "building" / "kernel-1").mkdir(parents=True)
    with locked(tmp_path / "cache" / "locks" / "kernel-1.lock"):
        assert list(leftovers(tmp_path / "cache", Runs(tmp_path / "runs"))) == []
    assert len(list(leftovers(tmp_path / "cache", Runs(tmp_path / "runs")))) == 1


def test_what_was_to_be_thrown_away_leaves_not_even_its_lock(tmp_path: Path) -> None:
    for name in ("work-1", "kernel-1"):
        (tmp_path / "building" / name).mkdir(parents=True)
    sweep(tmp_path, Runs(tmp_path / "runs"))
    assert [path.name for path in (tmp_path / "locks").iterdir()] == ["kernel-1.lock"]
    assert list((tmp_path / "building").iterdir()) == []


def test_what_a_run_compared_with_is_needed_too(tmp_path: Path) -> None:
    cache, runs = tmp_path / "cache", Runs(tmp_path / "runs")
    base = artifact(cache, "base", 400)
    lock = {"artifacts": {"artifacts": {}}, "base": [{"artifacts": {"kernel": base.model_dump(mode="json")}}]}
    runs.create().write("lock.json", json.dumps(lock))
    assert look(cache, runs, Limits(unused=DAY)).remove == ()


@pytest.mark.parametrize("text", ["", "{", "3", "[" * 100_000, '{"artifacts": 3}', '{"kind": 3, "key": 4}'])
def test_a_damaged_lock_file_keeps_nothing_and_breaks_nothing(tmp_path: Path, text: str) -> None:
    runs = Runs(tmp_path / "runs")
    (runs.create().path / "lock.json").write_text(text)
    artifact(tmp_path / "cache", "old", 40)
    assert len(look(tmp_path / "cache", runs, Limits(unused=DAY)).remove) == 1


def test_a_file_with_two_names_takes_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(os.urandom(1 << 20))
    alone_size = size_of(tmp_path)
    os.link(tmp_path / "one", tmp_path / "two")
    (tmp_path / "sparse").open("wb").truncate(1 << 30)
    assert alone_size <= size_of(tmp_path) < alone_size + 8192
    assert size_of(tmp_path / "absent") == 0
