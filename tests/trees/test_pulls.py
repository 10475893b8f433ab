# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts that are fetched with git."""

import functools
import http.server
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reviewbot.config import Network
from reviewbot.host.public import Reach, git_place
from reviewbot.model.errors import Blocked, InfraError
from reviewbot.model.posting import Part, Pull
from reviewbot.model.stack import Source
from reviewbot.model.trees import Tree
from reviewbot.model.verdict import ExitStatus
from reviewbot.trees import Bases, PullGone, SourceUnreachable, UnusablePull, preview
from tests.repos import git, stack_of
from tests.stories.subscriber import served as git_daemon
from tests.trees.series import (
    FILE,
    Series,
    edited,
    file_at,
    local,
    new_repository,
    posting_of,
    resolved,
    series,
    tried,
    write,
)
from tests.web import serving

LOCAL = Network(private=("127.0.0.1",))


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """The component's source: `v1`, and one commit after it."""
    folder = new_repository(tmp_path / "kernel")
    git(folder, "tag", "v1")
    write(folder, {"other": "x\n"}, "later work", day=9)
    return folder


@pytest.fixture
def theirs(kernel: Path, tmp_path: Path) -> Path:
    """A contributor's repository: `one` on v1, `two` on `one`, `aside` on v1."""
    git(tmp_path, "clone", "-q", str(kernel), "theirs")
    folder = tmp_path / "theirs"
    git(folder, "checkout", "-q", "-b", "one", "v1")
    write(folder, {FILE: edited(10)}, "one: first", day=2)
    write(folder, {FILE: edited(10, 20)}, "one: second", day=2)
    git(folder, "checkout", "-q", "-b", "two")
    write(folder, {FILE: edited(10, 20, 30)}, "two: first", day=3)
    git(folder, "checkout", "-q", "-b", "aside", "v1")
    write(folder, {FILE: edited(50)}, "aside: first", day=3)
    git(folder, "checkout", "-q", "master")
    return folder


def pull(url: Path | str, ref: str, *, counter: str = "1/1", **more: str) -> Series:
    part = Part(
        component="kernel",
        counter=counter,
        rfc=False,
        subject=ref,
        cover=None,
        patches=(),
        pull=Pull(url=str(url), ref=ref, **more),
    )
    return Series(part)


def subjects(tree: Tree) -> list[str]:
    return [patch.subject for patch in tree.patches]


def test_a_pull_brings_its_own_base_and_is_taken_as_it_is(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    tree = resolved(pull(theirs, "one"), kernel, tmp_path / "c")
    assert tree.base_commit == git(kernel, "rev-parse", "v1")
    assert tree.head_commit == git(theirs, "rev-parse", "one")
    assert subjects(tree) == ["one: first", "one: second"]
    assert {patch.message_id for patch in tree.patches} == {""}
    assert tree.base_why == "base of the pull of one: where it branches off master"
    assert tried(tree)[-1][1].endswith("taken as it is")


def test_the_base_that_a_pull_names_is_used(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    start = git(theirs, "rev-parse", "one~1")
    for named in (start, start[:10], "one~1"[:3]):
        tree = resolved(pull(theirs, "two", base=named), kernel, tmp_path / named[:8])
        assert tree.base_commit == git(theirs, "rev-parse", "one" if named == "one" else start)
        assert subjects(tree)[-1] == "two: first"


def test_pulls_on_each_other_and_mails_on_top(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    git(theirs, "checkout", "-q", "two")
    write(theirs, {FILE: edited(10, 20, 30, 40)}, "mailed", day=4)
    mailed = series(theirs, "HEAD~1..HEAD", counter="3/3")
    git(theirs, "reset", "-q", "--hard", "HEAD~1")
    tree = resolved(
        [pull(theirs, "one", counter="1/3"), pull(theirs, "two", counter="2/3"), mailed], kernel, tmp_path / "c"
    )
    assert subjects(tree) == ["one: first", "one: second", "two: first", "mailed"]
    assert file_at(tree) == edited(10, 20, 30, 40).strip()


def test_pulls_that_diverge_are_picked_onto_each_other(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    parts = [pull(theirs, "one"), pull(theirs, "aside")]  # neither says which of how many it is
    tree = resolved(parts, kernel, tmp_path / "c")
    assert subjects(tree) == ["one: first", "one: second", "aside: first"]
    assert file_at(tree) == edited(10, 20, 50).strip()
    assert resolved(parts, kernel, tmp_path / "d").head_commit == tree.head_commit
    assert "picked onto" in tried(tree)[-1][1]


def test_a_pull_on_mailed_patches_is_picked(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    git(theirs, "checkout", "-q", "-b", "mine", "v1")
    write(theirs, {FILE: edited(60)}, "mailed", day=4)
    mailed = series(theirs, "v1..mine", counter="1/2")
    tree = resolved([mailed, pull(theirs, "aside", counter="2/2")], kernel, tmp_path / "c")
    assert subjects(tree) == ["mailed", "aside: first"]
    assert file_at(tree) == edited(50, 60).strip()


def test_a_base_by_hand_counts_for_pulls_too(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    tree = resolved(pull(theirs, "one"), kernel, tmp_path / "c", base="master")
    assert tree.base_commit == git(kernel, "rev-parse", "master")
    assert subjects(tree) == ["one: first", "one: second"]


def test_a_pull_that_conflicts_says_which_commit(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    git(theirs, "checkout", "-q", "-b", "clash", "v1")
    write(theirs, {FILE: edited(10, word="otherwise")}, "clash: first", day=3)
    with pytest.raises(UnusablePull) as caught:
        resolved([pull(theirs, "one", counter="1/2"), pull(theirs, "clash", counter="2/2")], kernel, tmp_path / "c")
    assert "“clash: first” does not apply on top of" in str(caught.value)
    assert FILE in str(caught.value)
    assert list((tmp_path / "c" / "worktrees").glob("*")) == []


def test_merges_are_taken_as_they_are_but_never_picked(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    git(theirs, "checkout", "-q", "-b", "merged", "one")
    git(theirs, "merge", "-q", "--no-ff", "-m", "a merge", "aside")
    tree = resolved(pull(theirs, "merged"), kernel, tmp_path / "c")
    assert subjects(tree)[-1] == "a merge"
    with pytest.raises(UnusablePull, match="it contains the merge"):
        resolved(pull(theirs, "merged"), kernel, tmp_path / "c", base="master")


def test_a_tip_that_is_not_there_any_more_blocks(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    tip = git(theirs, "rev-parse", "one")
    git(theirs, "tag", "-a", "-m", "signed", "for-7.1", "one")
    tag = git(theirs, "rev-parse", "for-7.1")
    for ref, wanted in (("one", tip), ("one", tip[:12]), ("for-7.1", tip), ("for-7.1", tag)):
        assert resolved(pull(theirs, ref, tip=wanted), kernel, tmp_path / "c").head_commit == tip
    git(theirs, "branch", "-f", "one", "two")
    with pytest.raises(PullGone) as caught:
        resolved(pull(theirs, "one", tip=tip), kernel, tmp_path / "c")
    error = caught.value
    assert (error.url, error.ref, error.wanted) == (str(theirs), "one", tip)
    assert error.found == f"the ref is now at {git(theirs, 'rev-parse', 'two')[:12]}"
    assert error.exit_status is ExitStatus.BLOCKED


@pytest.mark.parametrize("ref", ["gone", "refs/heads/gone", "ab" * 20, "--upload-pack=touch x", "+one:refs/x", "a..b"])
def test_a_ref_that_is_gone_or_is_none_blocks(kernel: Path, theirs: Path, tmp_path: Path, ref: str) -> None:
    with pytest.raises(PullGone, match="no such ref") as caught:
        resolved(pull(theirs, ref), kernel, tmp_path / "c")
    assert isinstance(caught.value, Blocked)
    assert git(tmp_path / "c" / "repos" / "kernel.git", "for-each-ref", "refs/x") == ""


@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% /tmp/x", "file:///etc", "fd::3", "-oProxyCommand=x", "ftp://example.org/x", "gopher://x"]
)
def test_a_mail_cannot_name_any_url(kernel: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(UnusablePull, match=r"only https|folder of this machine"):
        resolved(pull(url, "one", message_id="m@example.org"), kernel, tmp_path / "c")


def test_a_mail_cannot_name_a_folder_of_this_machine(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusablePull, match="folder of this machine"):
        resolved(pull(theirs, "one", message_id="m@example.org"), kernel, tmp_path / "c")


def test_a_server_that_does_not_answer_is_not_the_authors_fault(kernel: Path, tmp_path: Path) -> None:
    found = pull("http://127.0.0.1:9/x.git", "one", message_id="m@example.org")
    with pytest.raises(SourceUnreachable) as caught:
        resolved(found, kernel, tmp_path / "c", network=LOCAL)
    assert isinstance(caught.value, InfraError)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x.git", "https://10.0.0.1/x.git", "git://192.168.0.1/x.git", "http://localhost:8080/x.git",
            "http://169.254.169.254/latest/meta-data", "http://2130706433/x.git"]
)  # fmt: skip
def test_a_mail_cannot_lead_into_a_private_network(kernel: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(UnusablePull, match="is not a public address") as caught:
        resolved(pull(url, "one", message_id="m@example.org"), kernel, tmp_path / "c")
    assert "network: {private:" in caught.value.hint


@contextmanager
def served(folder: Path, redirect_to: str = "") -> Iterator[str]:
    """URL of a repository behind a dumb HTTP server on loopback, or of one that only redirects."""
    git(folder, "update-server-info")

    class Files(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if redirect_to:
                self.send_response(302)
                self.send_header("Location", redirect_to + self.path)
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            return

    with serving(functools.partial(Files, directory=str(folder / ".git"))) as url:
        yield url


def test_a_redirection_is_a_place_like_all_others(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    with served(theirs) as target, served(theirs, redirect_to=target) as url:
        port = url.rpartition(":")[2]
        found = pull(f"{url}/./", "one", message_id="m@example.org")
        with pytest.raises(UnusablePull, match="is not a public address"):
            resolved(found, kernel, tmp_path / "c", network=Network(private=(f"127.0.0.1:{port}",)))
        place, settings, _ = git_place(f"{url}/x", Reach(("127.0.0.1",)))
        assert place == f"{target}/x" and "http.followRedirects=false" in settings


def test_a_pull_that_brings_too_much_is_cut_off(kernel: Path, tmp_path: Path) -> None:
    large = new_repository(tmp_path / "large", {"noise": random.Random(1).randbytes(3 << 20)})
    git(large, "branch", "one")
    with git_daemon(tmp_path) as url:
        found = pull(f"{url}/large", "one", message_id="m@example.org")
        with pytest.raises(UnusablePull, match="has more than 1 MiB"):
            resolved(found, kernel, tmp_path / "c", network=Network(private=("127.0.0.1",), pull_mib=1))
        with pytest.raises(UnusablePull, match="no history in common"):
            resolved(found, kernel, tmp_path / "c2", network=LOCAL)


def test_a_pull_without_common_history_blocks(kernel: Path, tmp_path: Path) -> None:
    stranger = new_repository(tmp_path / "stranger", {"x": "y\n"})
    with pytest.raises(UnusablePull, match="no history in common"):
        resolved(pull(stranger, "master"), kernel, tmp_path / "c")


def test_a_source_without_history_needs_the_pulls_own_base(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    folder = Source(provider="dir", path=str(kernel))
    with pytest.raises(UnusablePull) as caught:
        resolved(pull(theirs, "one"), folder, tmp_path / "c")
    assert "base:" in caught.value.hint
    tree = resolved(pull(theirs, "one", base=git(theirs, "rev-parse", "v1")), folder, tmp_path / "c")
    assert subjects(tree) == ["one: first", "one: second"]


def test_a_pulled_link_that_leaves_the_tree_is_refused(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    git(theirs, "checkout", "-q", "-b", "evil", "one")
    (theirs / "fs" / "etc").symlink_to("../../etc")
    write(theirs, {}, "a link", day=5)
    (theirs / "fs" / "etc").unlink()
    write(theirs, {}, "hidden again", day=5)
    with pytest.raises(UnusablePull, match=r"fs/etc -> \.\./\.\./etc points outside the tree"):
        resolved(pull(theirs, "evil"), kernel, tmp_path / "c")


def test_the_preview_of_a_pull(kernel: Path) -> None:
    posting, _ = posting_of(pull("https://example.org/x.git", "one"))
    (line,) = preview(posting, stack_of({"kernel": local(kernel)}), Bases())
    assert (line.base, line.why) == ("where the pull branches off master", "base of the pull of one")


def test_mails_between_pulls_keep_their_order(kernel: Path, theirs: Path, tmp_path: Path) -> None:
    git(theirs, "checkout", "-q", "-b", "mine", "one")
    write(theirs, {FILE: edited(10, 20, 60)}, "mailed", day=4)
    mailed = series(theirs, "one..mine", counter="2/3")
    parts = [pull(theirs, "one", counter="1/3"), mailed, pull(theirs, "aside", counter="3/3")]
    assert subjects(resolved(parts, kernel, tmp_path / "c")) == ["one: first", "one: second", "mailed", "aside: first"]
