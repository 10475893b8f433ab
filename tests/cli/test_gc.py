# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot gc` as its user meets it, and the clean start of every command that works."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.cli.working import at_work
from reviewbot.store import Runs
from reviewbot.store.cleaning import using
from tests.store.test_cleaning import artifact, needing
from tests.store.test_runs import another_process
from tests.user import User


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of this test alone: what others' killed processes left in theirs would be removed, and counted, too."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    tempfile.tempdir = None


def cache(user: User) -> Path:
    return user.folder / "cache"


def test_a_dry_run_says_what_would_go_and_removes_nothing(user: User) -> None:
    made = artifact(cache(user), "old", 40)
    said = user.call("gc", "--dry-run").stdout
    assert said.startswith("would remove ") and "artifacts" in said and "would leave in the cache" in said
    assert Path(made.path).exists()


def test_what_goes_is_gone_and_what_a_run_needs_stays(user: User) -> None:
    old = artifact(cache(user), "old", 40)
    needed = artifact(cache(user), "needed", 40)
    run = needing(Runs(user.folder / "data" / "runs"), needed)
    said = json.loads(user.call("gc", "--json").stdout)
    assert [item["path"] for item in said["removed"]] == [old.path]
    assert [item["needed_by"] for item in said["kept"] if item["kind"] == "artifact"] == [run.id]
    assert not Path(old.path).exists() and Path(needed.path).exists()
    assert "are needed by runs" in user.call("gc", "--size", "1K").stdout
    assert user.call("gc", "--older", "8w", "--size", "1K", "--run", run.id).returncode == 0
    assert not Path(needed.path).exists() and not run.path.exists()
    assert user.call("runs").stdout.startswith("no runs yet")


def test_while_a_run_uses_the_cache_nothing_can_be_removed(user: User) -> None:
    artifact(cache(user), "old", 40)
    with using(cache(user)):
        assert user.call("gc", "-n").returncode == 0
        user.refuses(4, "the cache is in use by a run", "gc")


def test_a_run_that_is_being_made_is_not_removed(user: User) -> None:
    with another_process(user.folder / "data" / "runs") as (_, run):
        user.refuses(2, f"run {run} is still running", "gc", "--run", run)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--older", "soon"), "'soon' is not an age"),
        (("--size", "big"), "'big' is not a size"),
        (("--run", "x"), "no such run"),
    ],
)
def test_a_wrong_limit_is_the_users_mistake(user: User, arguments: tuple[str, ...], words: str) -> None:
    user.refuses(2, words, "gc", *arguments)


def test_a_command_that_works_cleans_up_first_and_says_so(
    user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REVIEWBOT_CACHE", str(cache(user)))
    monkeypatch.setenv("REVIEWBOT_DATA", str(user.folder / "data"))
    left = cache(user) / "building" / "kernel-1"
    left.mkdir(parents=True)
    (left / "vmlinux").write_bytes(b"x" * (2 << 20))
    with at_work():
        assert not left.exists()
        user.refuses(4, "the cache is in use", "gc")
    assert "removed 2 MiB left by a killed process" in capsys.readouterr().err
