# SPDX-License-Identifier: GPL-2.0-or-later
"""No report tells of this machine's folders, of passwords in its settings, or of what its environment holds."""

import pytest

from reviewbot.model.base import Model
from reviewbot.report import Record, files
from reviewbot.report.tables import public_words
from tests.report.records import PARENT, RECORDS, TOP, TREES

HOME = "/srv/canary/home"
TOKEN = "canarytoken"
SOURCES = (
    f"git {HOME}/linux.git",
    f"folder {HOME}/src/e2fsprogs",
    f"git https://user:{TOKEN}@git.example.org/linux.git",
)


def told(record: Record) -> dict[str, str]:
    """Every report that is for others, as text."""
    found = {}
    for name, content in files(record, {TOP: PARENT}).items():
        text = content.model_dump_json() if isinstance(content, Model) else content
        found[name] = text.decode() if isinstance(text, bytes) else text
    return found


@pytest.mark.parametrize("name", ["pass", "regression", "review-errors", "infra"])
def test_where_sources_are_on_this_machine_is_not_told(name: str) -> None:
    trees = [
        tree.model_copy(
            update={
                "source": source,
                "base_why": f"default of the stack: {source}",
                "repository": f"{HOME}/cache",
                "attempts": (*tree.attempts, *(one.model_copy(update={"what": source}) for one in tree.attempts)),
            }
        )
        for tree, source in zip(TREES.trees, SOURCES, strict=True)
    ]
    changed = TREES.model_copy(update={"trees": tuple(trees), "unavailable": {"lkl": f"{SOURCES[0]} cannot be had"}})
    record = RECORDS[name]().model_copy(update={"trees": changed})
    for file, text in told(record).items():
        assert "canary" not in text, file
        if file in ("reply.eml", "summary.md"):
            assert "linux.git" in text and "e2fsprogs" in text, "but what was tested is"


def test_what_the_environment_holds_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "KCIDB_REST", "HTTPS_PROXY", "USER", "HOSTNAME"):
        monkeypatch.setenv(name, f"https://{TOKEN}@x")
    for build in RECORDS.values():
        assert not [file for file, text in told(build()).items() if TOKEN in text]


@pytest.mark.parametrize(
    ("words", "public"),
    [
        ("git https://git.kernel.org/pub/scm/linux.git", "git https://git.kernel.org/pub/scm/linux.git"),
        ("git /srv/git/linux.git", "git …/linux.git"),
        ("folder /home/me/e2fsprogs", "folder …/e2fsprogs"),
        ("git ../linux", "git …/linux"),
        ("git ~/src/linux", "git …/linux"),
        ("git file:///srv/git/linux.git", "git file://…/linux.git"),
        ("git https://me:secret@host/x.git", "git https://host/x.git"),
        ("base-commit v6.12, in fs/fuse/file.c", "base-commit v6.12, in fs/fuse/file.c"),
        ("its blobs (12/14)", "its blobs (12/14)"),
        ("/", "/"),
    ],
)
def test_folders_are_left_out_and_names_stay(words: str, public: str) -> None:
    assert public_words(words) == public
