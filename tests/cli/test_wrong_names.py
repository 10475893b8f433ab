# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong names at the command line: refused at once, whatever the network and the builds would say."""

from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.errors import UsageError
from reviewbot.model.trees import Tree, Trees
from reviewbot.pipeline.request import TestRequest, check_tests
from tests.mails import posting
from tests.repos import git
from tests.suites.test_names import TREE, committed, put
from tests.user import User


@pytest.mark.parametrize("command", ["plan", "apply-and-test"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--legs", "ext4,fuse4f"), "no leg fuse4f — did you mean fuse4fs?"),
        (("--suites", "smoke,xfstests"), "no suite xfstests — did you mean fstests?"),
        (("--tests", "generic/9999"), "no test generic/9999"),
        (("--tests", "-g qick"), "no group qick — did you mean quick?"),
        (("--tests", "-g"), "-g needs a name"),
        (("--variant", "kasn"), "no variant kasn"),
        (("--base", "libfuze=v1"), "no such component libfuze — did you mean libfuse?"),
        (("--stack", "fues"), "no such stack"),
        (("--site", "sit.yaml"), "sit.yaml: no such file"),
    ],
)
def test_a_wrong_name_is_refused_before_the_archive_is_asked(
    user: User, command: str, arguments: tuple[str, ...], words: str
) -> None:
    user.site(archive="http://127.0.0.1:9/all")  # nobody answers: status 4, if anybody asked
    user.refuses(2, words, command, "a@example.org", *arguments)
    assert user.runs == []
    assert not (user.folder / "cache" / "repos").exists()


def test_emptied_options_are_as_if_they_were_not_given(user: User) -> None:
    """A form or a workflow hands an emptied field on as an empty word."""
    said = user.call(
        "plan", "--json", "--mbox", user.thread(posting()), "--suites=", "--legs=", "--tests=", "--variant="
    )
    plain = user.call("plan", "--json", "--mbox", user.thread(posting()))
    assert said.stdout == plain.stdout and said.returncode == 0


@pytest.mark.parametrize("provider", ["dir", "git"])
def test_the_users_own_fstests_say_which_names_there_are(user: User, provider: str) -> None:
    folder = put(user.folder / "fstests", TREE)
    committed(folder)
    place = {"path": str(folder)} if provider == "dir" else {"url": str(folder), "ref": "HEAD"}
    user.site(archive="http://127.0.0.1:9/all", components={"fstests": {"provider": provider, **place}})
    user.refuses(4, "127.0.0.1:9", "plan", "a@example.org", "--tests", "generic/002 -g ours")
    user.refuses(2, "no group quik — did you mean quick?", "plan", "a@example.org", "--tests", "-g quik")
    user.refuses(2, "no test ext4/003", "plan", "a@example.org", "--tests", "ext4/003")


def test_fstests_from_elsewhere_may_have_any_names_until_they_are_fetched(user: User) -> None:
    source = {"provider": "git", "url": "https://127.0.0.1:9/x", "ref": "m"}
    user.site(archive="http://127.0.0.1:9/all", components={"fstests": source})
    user.refuses(4, "127.0.0.1:9", "plan", "a@example.org", "--tests", "ours/001 -g ours")


def of(folder: Path) -> Trees:
    commit = git(folder, "rev-parse", "HEAD").strip()
    tree = Tree(
        component="fstests",
        repository=str(folder / ".git"),
        source="a folder",
        base_commit=commit,
        base_tree="",
        base_why="",
        head_commit=commit,
        head_tree="",
    )
    return Trees(trees=(tree,))


@pytest.mark.parametrize(
    ("selection", "problem"),
    [("generic/003", "no test generic/003"), ("-g none", "no group none"), ("-g ours -x auto", "selects no tests")],
)
def test_once_the_patches_are_applied_every_name_must_be_there(tmp_path: Path, selection: str, problem: str) -> None:
    committed(put(tmp_path, TREE))
    with pytest.raises(UsageError, match=problem):
        check_tests(TestRequest(tests=selection), load_stack(), of(tmp_path))
    check_tests(TestRequest(tests="generic/002"), load_stack(), of(tmp_path))
    check_tests(TestRequest(tests=selection, suites=("smoke",)), load_stack(), of(tmp_path))
