# SPDX-License-Identifier: GPL-2.0-or-later
"""Kept objects and their warnings go together or not at all."""

from pathlib import Path

import pytest

from reviewbot.build.kept import KeptObjects
from reviewbot.model.review import BuildWarning

SAID = {"a.o": (BuildWarning(tool="gcc", file="a.c", line=3, message="unused"),), "b.o": ()}
INPUTS = {"buildroot": "abc"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one object, as a build left it that went well."""
    kept = KeptObjects(tmp_path / "obj", INPUTS)
    with kept.building():
        (kept.folder / "a.o").write_text("object")
        kept.learn("1234", SAID)
    return kept.folder


def test_what_was_built_is_known_the_next_time(folder: Path) -> None:
    kept = KeptObjects(folder, INPUTS)
    assert (kept.commit, kept.warnings) == ("1234", SAID)
    assert (folder / "a.o").exists()


def test_a_build_that_was_killed_leaves_nothing_that_is_trusted(folder: Path) -> None:
    kept = KeptObjects(folder, INPUTS)
    with pytest.raises(KeyboardInterrupt), kept.building():
        raise KeyboardInterrupt
    again = KeptObjects(folder, INPUTS)
    assert (again.commit, again.warnings) == ("", {})
    assert not (folder / "a.o").exists()


def test_objects_of_another_build_root_are_not_used(folder: Path) -> None:
    assert KeptObjects(folder, {"buildroot": "def"}).warnings == {}
    assert not (folder / "a.o").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"whole": true}', '{"whole": 1, "inputs": 2}'])
def test_a_damaged_record_counts_as_none(folder: Path, content: str) -> None:
    folder.with_name("obj.json").write_text(content)
    assert KeptObjects(folder, INPUTS).warnings == {}
    assert not (folder / "a.o").exists()


def test_warnings_without_their_objects_are_worth_nothing(folder: Path) -> None:
    (folder / "a.o").unlink()
    folder.rmdir()
    kept = KeptObjects(folder, INPUTS)
    assert (kept.commit, kept.warnings) == ("", {})
    assert folder.is_dir()
