# SPDX-License-Identifier: GPL-2.0-or-later
"""Each artifact is built once, whole, and found again."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reviewbot.model.artifacts import Fact
from reviewbot.model.errors import UsageError
from reviewbot.store import Durations, Runs, Store
from reviewbot.store.contents import read_stamp
from reviewbot.store.damage import Damaged


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
    assert sorted(p.name for p in Path(artifact.path).iterdir()) == ["artifact.json", "contents.json", "file"]


def several(folder: Path) -> Mapping[str, Fact]:
    (folder / "root" / "bin").mkdir(parents=True)
    (folder / "root" / "bin" / "tool").write_bytes(b"a program" * 1000)
    (folder / "root" / "bin" / "alias").symlink_to("tool")
    (folder / "image").write_bytes(bytes(1 << 16))
    return {"answer": 42}


def cut_short(folder: Path) -> None:
    os.truncate(folder / "image", 100)


def flip_a_bit_and_hide_it(folder: Path) -> None:
    """Same size, same time of change."""
    path, status = folder / "image", (folder / "image").stat()
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(b"\x10")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def turn_the_link(folder: Path) -> None:
    (folder / "root/bin/alias").unlink()
    (folder / "root/bin/alias").symlink_to("/etc/passwd")


DAMAGE: Mapping[str, tuple[Callable[[Path], object], str, str]] = {
    "cut short": (cut_short, "image", "changed"),
    "one bit": (flip_a_bit_and_hide_it, "image", "changed"),
    "gone": (lambda folder: (folder / "root/bin/tool").unlink(), "root/bin/tool", "missing"),
    "added": (lambda folder: (folder / "root/GNUmakefile").write_text("all:"), "root/GNUmakefile", "added"),
    "mode": (lambda folder: (folder / "root/bin/tool").chmod(0o4755), "root/bin/tool", "changed"),
    "link": (turn_the_link, "root/bin/alias", "changed"),
    "hashes": (lambda folder: (folder / "contents.json").write_text("{}"), "contents.json", "changed"),
    "no hashes": (lambda folder: (folder / "contents.json").unlink(), "contents.json", "missing"),
    "record": (lambda folder: (folder / "artifact.json").write_text('{"form'), "artifact.json", "unreadable"),
    "deep record": (lambda folder: (folder / "artifact.json").write_text("[" * 100000), "artifact.json", "unreadable"),
    "empty record": (lambda folder: (folder / "artifact.json").write_text(""), "artifact.json", "unreadable"),
    "no record": (lambda folder: (folder / "artifact.json").unlink(), "artifact.json", "missing"),
    "a fact": (
        lambda folder: (folder / "artifact.json").write_text(
            (folder / "artifact.json").read_text().replace("42", "43")
        ),
        "artifact.json",
        "unreadable",
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_artifact_is_said_once_and_built_again(tmp_path: Path, how: str) -> None:
    told: list[Damaged] = []
    store = Store(tmp_path, told.append)
    whole = store.get("thing", {}, several)
    damage, name, kind = DAMAGE[how]
    damage(Path(whole.path))
    assert store.find("thing", {}) is None
    again = store.get("thing", {}, several)
    assert not again.reused and again.content == whole.content
    assert told == [Damaged("thing", whole.key, name, kind)]
    assert store.get("thing", {}, several).reused and len(told) == 1


def test_a_check_does_not_hide_later_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    whole = store.get("thing", {}, several)
    for _ in range(2):
        assert store.find("thing", {}) is not None
        flip_a_bit_and_hide_it(Path(whole.path))
        assert Store(tmp_path).find("thing", {}) is None
        store.get("thing", {}, several)


def test_all_is_read_again_after_a_start_of_the_host(tmp_path: Path) -> None:
    """A disk that lost what it had promised to keep shows no other size or time."""
    store = Store(tmp_path)
    whole = store.get("thing", {}, several)
    flip_a_bit_and_hide_it(Path(whole.path))
    noted = tmp_path / "checked" / f"thing-{whole.key}.json"
    stamp = {**json.loads(noted.read_bytes()), "stamp": read_stamp(Path(whole.path))}
    noted.write_text(json.dumps(stamp))
    assert store.find("thing", {}) is not None, "nothing says that it changed"
    noted.write_text(json.dumps({**stamp, "boot": "before"}))
    assert store.find("thing", {}) is None


@pytest.mark.parametrize("noted", ["", "[]", "{", '{"time": "x"}'])
def test_a_damaged_note_of_a_check_only_costs_another_check(tmp_path: Path, noted: str) -> None:
    store = Store(tmp_path)
    whole = store.get("thing", {}, several)
    (tmp_path / "checked" / f"thing-{whole.key}.json").write_text(noted)
    assert store.find("thing", {}) is not None


def test_a_moved_store_is_the_same_store(tmp_path: Path) -> None:
    Store(tmp_path / "one").get("thing", {}, several)
    (tmp_path / "one").rename(tmp_path / "two")
    found = Store(tmp_path / "two").find("thing", {})
    assert found is not None and found.path.startswith(str(tmp_path / "two"))
    assert not any(str(tmp_path) in path.read_text() for path in (tmp_path / "two/artifacts").rglob("*.json"))


def test_a_copied_store_uses_its_own_files(tmp_path: Path) -> None:
    whole = Store(tmp_path / "one").get("thing", {}, several)
    subprocess.run(["cp", "-a", tmp_path / "one", tmp_path / "two"], check=True)
    copy = Store(tmp_path / "two")
    found = copy.find("thing", {})
    assert found is not None and found.path.startswith(str(tmp_path / "two"))
    cut_short(Path(whole.path))
    assert copy.find("thing", {}) is not None
    assert Store(tmp_path / "one").find("thing", {}) is None
    assert [artifact.path for artifact in copy] == [found.path]


def test_what_an_older_version_made_is_built_again_without_a_word(tmp_path: Path) -> None:
    told: list[Damaged] = []
    store = Store(tmp_path, told.append)
    folder = store.path("thing", store.key("thing", {}))
    folder.mkdir(parents=True)
    old = {"kind": "thing", "key": folder.name, "path": "/nowhere", "facts": {}, "inputs": {}, "seconds": 1.0,
           "reused": False}  # fmt: skip
    (folder / "artifact.json").write_text(json.dumps(old))
    assert store.find("thing", {}) is None and list(store) == []
    assert sorted(p.name for p in Path(store.get("thing", {}, fill).path).iterdir()) == [
        "artifact.json",
        "contents.json",
        "file",
    ]
    assert told == []


def test_two_that_made_the_same_have_the_same_content(tmp_path: Path) -> None:
    one, two = (Store(tmp_path / name).get("thing", {}, several) for name in ("one", "two"))
    other = Store(tmp_path / "three").get("thing", {}, fill)
    assert one.content == two.content != other.content


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
    with pytest.raises(UsageError, match="there is no run in"):
        runs.find("latest")
    first, second = runs.create(), runs.create()
    assert runs.find(first.id) == first
    assert runs.find("latest") == second
    with pytest.raises(UsageError, match="more than one run"):
        runs.find("20")
    with pytest.raises(UsageError, match="no such run"):
        runs.find("1999")
