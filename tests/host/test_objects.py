# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects of a repository as git has them, and nothing for a name that stands for none."""

from pathlib import Path

import pytest

from reviewbot.host.git import git, init_bare
from reviewbot.host.objects import objects
from tests.host.trees import make_tree


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return init_bare(tmp_path / "r.git")


def test_contents_are_those_that_were_written_also_a_name_that_is_not_ascii(repository: Path) -> None:
    blobs = {"ä b": b"\0\xff\nx", "empty": b"", "c": b"three words here\n"}
    tree = make_tree(repository, blobs)
    with objects(repository) as found:
        assert {name: found.blob(f"{tree}:{name}") for name in blobs} == blobs
        assert [found.size(f"{tree}:{name}") for name in blobs] == [4, 0, 17]
        assert found.read(tree) is not None and found.blob(tree) is None, "a tree is no file"


@pytest.mark.parametrize("name", ["none", "0" * 40, "HEAD:a b c", "two\nlines", "", "\udcff"])
def test_a_name_that_stands_for_nothing_gives_nothing_and_the_next_is_answered(repository: Path, name: str) -> None:
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x").output.strip()
    with objects(repository) as found:
        assert (found.read(name), found.blob(name), found.size(name)) == (None, None, None)
        assert found.blob(blob) == b"x"


def test_a_name_that_ends_with_a_newline_is_not_the_one_without(repository: Path) -> None:
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x").output.strip()
    with objects(repository) as found:
        assert (found.blob(f"{blob}\n"), found.size(f"{blob}\n")) == (None, None)


def test_a_repository_of_another_owner_is_read(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x").output.strip()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with objects(repository) as found:
        assert found.blob(blob) == b"x"
