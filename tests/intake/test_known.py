# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cache knows of the components' trees decides where paths and addresses do not."""

from pathlib import Path

import pytest

from reviewbot.config import Site, load_stack
from reviewbot.host.git import init_bare
from reviewbot.intake import Ask, take_in
from reviewbot.intake.known import known_trees
from tests.mails import diff, mail, mbox
from tests.repos import git, make_repository


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that has a base of fstests with `src/locktest.c`, and a commit that patches made, with `src/fat.c`."""
    for name, file, ref in (("a", "src/locktest.c", "base/for-next"), ("b", "src/fat.c", "applied/x")):
        make_repository(tmp_path / name, {file: "old\n"})
        bare = init_bare(tmp_path / "cache" / "repos" / "fstests.git")
        git(bare, "fetch", "-q", str(tmp_path / name), f"+HEAD:refs/reviewbot/{ref}")
    return tmp_path / "cache"


def test_files_of_bases_are_known_and_nothing_else(cache: Path) -> None:
    exists = known_trees(cache)
    paths = ("src/locktest.c", "src", "src/fat.c", "no\nsuch", "src/locktest.c/x")
    assert exists("fstests", paths) == {
        "src/locktest.c": True,
        "src": True,
        "src/fat.c": False,
        "src/locktest.c/x": False,
    }
    assert exists("kernel", paths) is None
    init_bare(cache / "repos" / "libfuse.git")
    assert exists("libfuse", paths) is None


@pytest.mark.parametrize(("path", "component"), [("src/locktest.c", "fstests"), ("src/fat.c", "unknown")])
def test_a_patch_goes_where_its_files_are(cache: Path, tmp_path: Path, path: str, component: str) -> None:
    (tmp_path / "mbox").write_bytes(mbox([mail("p@x", "[PATCH] do it", diff(path), to="nobody@example.org")]))
    found = take_in(Ask(mbox=(tmp_path / "mbox",)), load_stack(), Site(archive="http://127.0.0.1:9/all"), cache)
    assert [part.component for part in found.posting.parts] == [component]
