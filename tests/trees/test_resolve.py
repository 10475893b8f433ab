# SPDX-License-Identifier: GPL-2.0-or-later
"""Bases, heads, and what is said when there is none."""

import hashlib
import json
import subprocess
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.host.locks import locked
from reviewbot.intake import Mailbag, read_mbox, split
from reviewbot.intake.split import Intake
from reviewbot.model.errors import InfraError
from reviewbot.model.progress import Event
from reviewbot.model.stack import Source
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import ExitStatus, VerdictKind
from reviewbot.trees import Bases, DoesNotApply, SourceUnreachable, WrongBase, preview, resolve
from tests.mails import diff, mail, posting
from tests.repos import git, make_component, make_repository, stack_of
from tests.web import web_page


def taken(mails: list[bytes]) -> Intake:
    return split(Mailbag("test", tuple(mails)), None, load_stack())


def run(found: Intake, sources: dict[str, Source], cache: Path, **more: object) -> Trees:
    bases = more.pop("bases", {})
    assert isinstance(bases, dict)
    fallbacks = more.pop("fallbacks", None)
    assert fallbacks is None or isinstance(fallbacks, dict)
    stack = stack_of(sources, fallbacks=fallbacks)
    return resolve(found.posting, found.mails, stack, components=list(sources), bases=Bases(bases), cache=cache)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    make_component(tmp_path / "kernel", "kernel")
    return tmp_path / "kernel"


def source(path: Path, ref: str = "master") -> Source:
    return Source(provider="git", url=str(path), ref=ref)


def test_the_blizzard_gives_the_expected_trees(blizzard: Path, tmp_path: Path) -> None:
    expected = json.loads((blizzard / "expected.json").read_bytes())
    found = split(read_mbox(blizzard / "thread.mbox"), None, load_stack())
    sources = {name: source(blizzard / f"{name}-base.bundle") for name in expected["trees"]}
    trees = run(found, sources, tmp_path)
    assert {t.component: t.head_tree for t in trees.trees} == expected["trees"]
    assert {t.component: t.base_commit for t in trees.trees} == expected["bases"]
    assert [len(t.patches) for t in trees.trees] == [73, 41, 54]


def test_one_commit_per_patch_and_the_same_ids_everywhere(kernel: Path, tmp_path: Path) -> None:
    found = taken(posting(("kernel",), patches=3))
    first = run(found, {"kernel": source(kernel)}, tmp_path / "one").trees[0]
    again = run(found, {"kernel": source(kernel)}, tmp_path / "one").trees[0]
    other = run(found, {"kernel": source(kernel)}, tmp_path / "two").trees[0]
    assert first.head_commit == again.head_commit == other.head_commit
    assert [p.message_id for p in first.patches] == [f"kernel.{n}@example.org" for n in (1, 2, 3)]
    log = git(Path(first.repository), "log", "--format=%H %s", f"{first.base_commit}..{first.head_commit}")
    assert [line.split()[0] for line in log.splitlines()] == [p.commit for p in reversed(first.patches)]


def test_no_worktree_and_nothing_in_the_users_repository_is_left(kernel: Path, tmp_path: Path) -> None:
    before = sorted(p.relative_to(kernel) for p in kernel.rglob("*")), git(kernel, "for-each-ref")
    run(taken(posting(("kernel",))), {"kernel": source(kernel)}, tmp_path / "cache")
    assert (sorted(p.relative_to(kernel) for p in kernel.rglob("*")), git(kernel, "for-each-ref")) == before
    assert list((tmp_path / "cache" / "worktrees").glob("*")) == []
    assert len(git(tmp_path / "cache" / "repos" / "kernel.git", "worktree", "list").splitlines()) == 1


def test_an_explicit_base_wins_and_is_explained(kernel: Path, tmp_path: Path) -> None:
    old = git(kernel, "rev-parse", "HEAD")
    git(kernel, "tag", "v1")
    (kernel / "later").write_text("x")
    git(kernel, "add", "-A")
    git(kernel, "commit", "-q", "-m", "later")
    tree = run(taken(posting(("kernel",))), {"kernel": source(kernel)}, tmp_path / "c", bases={"kernel": "v1"}).trees[0]
    assert (tree.base_commit, tree.base_why) == (old, "--base v1")
    default = run(taken(posting(("kernel",))), {"kernel": source(kernel)}, tmp_path / "c").trees[0]
    assert default.base_commit == git(kernel, "rev-parse", "HEAD")
    assert default.base_why == "default of the stack: master; all 2 patches apply, no other evidence for this base"


def test_a_declared_base_commit_is_used_if_it_is_there(kernel: Path, tmp_path: Path) -> None:
    old = git(kernel, "rev-parse", "HEAD")
    (kernel / "later").write_text("x")
    git(kernel, "add", "-A")
    git(kernel, "commit", "-q", "-m", "later")
    body = diff("fs/fuse/file.c") + f"\nbase-commit: {old}\n"
    tree = run(taken([mail("p@x", "[PATCH] x", body)]), {"kernel": source(kernel)}, tmp_path / "c").trees[0]
    assert (tree.base_commit, tree.base_why) == (old, f"base-commit: {old[:12]} of the posting")
    body = diff("fs/fuse/file.c") + f"\nbase-commit: {'ab' * 20}\n"
    tree = run(taken([mail("p@x", "[PATCH] x", body)]), {"kernel": source(kernel)}, tmp_path / "c").trees[0]
    assert tree.base_commit == git(kernel, "rev-parse", "HEAD")
    assert "was not found" in tree.base_why
    assert tree.attempts[0].what == "base-commit: abababababab"


def test_a_wrong_base_names_what_looks_like_it(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "tag", "v6.19-rc1")
    with pytest.raises(WrongBase) as caught:
        run(taken(posting(("kernel",))), {"kernel": source(kernel)}, tmp_path / "c", bases={"kernel": "v6.19-rc2"})
    assert caught.value.exit_status is ExitStatus.USAGE
    assert "v6.19-rc1" in caught.value.hint


def test_a_patch_that_does_not_apply_is_named_with_file_hunk_and_gits_words(kernel: Path, tmp_path: Path) -> None:
    mails = posting(("kernel",), patches=3)
    mails[3] = mails[3].replace(b"\n old\n", b"\n not there\n")
    with pytest.raises(DoesNotApply) as caught:
        run(taken(mails), {"kernel": source(kernel)}, tmp_path / "c")
    error = caught.value
    assert (error.message_id, error.number, error.total) == ("kernel.2@example.org", 2, 3)
    assert error.file == "fs/fuse/file2.c:1"
    assert error.hunk.splitlines()[0].startswith("@@ -1 +1,2 @@")
    assert "error: patch failed: fs/fuse/file2.c:1" in error.words
    assert (error.verdict, error.exit_status) == (VerdictKind.DOES_NOT_APPLY, ExitStatus.SERIES)
    assert list((tmp_path / "c" / "worktrees").glob("*")) == []


@pytest.mark.parametrize("path", ["../../outside.c", ".git/config", "fs/../../outside.c"])
def test_a_patch_that_leaves_the_tree_is_refused(kernel: Path, tmp_path: Path, path: str) -> None:
    body = (
        f"x\n---\ndiff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    )
    body += diff("fs/fuse/file.c")
    with pytest.raises(DoesNotApply):
        run(taken([mail("p@x", "[PATCH] x", body)]), {"kernel": source(kernel)}, tmp_path / "c")
    assert not list(tmp_path.rglob("outside.c"))


def test_rfc_parts_can_be_left_out(kernel: Path, tmp_path: Path) -> None:
    mails = [m.replace(b"[PATCHSET v2 1/1]", b"[PATCHSET RFC v2 1/1]") for m in posting(("kernel",))]
    found = taken(mails)
    stack = stack_of({"kernel": source(kernel)})
    trees = resolve(
        found.posting, found.mails, stack, components=["kernel"], bases=Bases(rfc=False), cache=tmp_path / "c"
    )
    assert trees.trees[0].head_commit == trees.trees[0].base_commit


def test_folder_and_tarball_give_the_same_commit_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "fuse-1"
    make_repository(folder, {"lib/fuse.c": "old\n", "run.sh": "#!/bin/sh\n"})
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("run.sh")
    with tarfile.open(tmp_path / "fuse-1.tar.xz", "w:xz") as tar:
        tar.add(folder, "fuse-1", filter=lambda m: None if "/.git" in m.name else m)
    found = taken(posting(("libfuse",), patches=1))
    tarball = tmp_path / "fuse-1.tar.xz"
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    kinds = (Source(provider="dir", path=str(folder)), Source(provider="tarball", url=str(tarball), sha256=digest))
    trees = [run(found, {"libfuse": kind}, tmp_path / cache).trees[0] for kind in kinds for cache in "ab"]
    assert len({tree.base_tree for tree in trees}) == 1
    assert len({tree.base_commit for tree in trees[:2]}) == len({tree.base_commit for tree in trees[2:]}) == 1
    listing = git(Path(trees[0].repository), "ls-tree", "-r", trees[0].base_commit)
    assert [line.split()[0] for line in listing.splitlines()] == ["100644", "120000", "100755"]


def test_a_changed_folder_is_noticed(tmp_path: Path) -> None:
    make_repository(tmp_path / "f", {"lib/fuse.c": "old\n"})
    found = taken(posting(("libfuse",), patches=1))
    sources = {"libfuse": Source(provider="dir", path=str(tmp_path / "f"), exclude=("big/**",))}
    first = run(found, sources, tmp_path / "c").trees[0]
    (tmp_path / "f" / "big").mkdir()
    (tmp_path / "f" / "big" / "blob").write_text("x")
    assert run(found, sources, tmp_path / "c").trees[0].base_commit == first.base_commit
    (tmp_path / "f" / "new").write_text("x")
    assert run(found, sources, tmp_path / "c").trees[0].base_commit != first.base_commit


def test_a_source_that_is_away_uses_its_fallback_and_says_so(kernel: Path, tmp_path: Path) -> None:
    sources = {"kernel": source(tmp_path / "nowhere")}
    trees = run(taken(posting(("kernel",))), sources, tmp_path / "c", fallbacks={"kernel": source(kernel)})
    assert [attempt.what for attempt in trees.trees[0].attempts][:2] == [
        f"git {tmp_path / 'nowhere'}",
        f"git {kernel}",
    ]


@pytest.mark.parametrize(
    "away",
    [
        Source(provider="git", url="http://127.0.0.1:9/x.git", ref="master"),
        Source(provider="dir", path="/nonexistent"),
        Source(provider="tarball", url="/nonexistent.tar.xz", sha256="0" * 64),
        Source(provider="tarball", url=__file__, sha256=hashlib.sha256(Path(__file__).read_bytes()).hexdigest()),
    ],
    ids=["git", "dir", "no tarball", "broken tarball"],
)
def test_a_source_that_is_away_fails_only_what_needs_it(kernel: Path, tmp_path: Path, away: Source) -> None:
    found = taken(posting(("kernel",)))
    trees = run(found, {"kernel": source(kernel), "libfuse": away}, tmp_path / "c")
    assert [tree.component for tree in trees.trees] == ["kernel"]
    assert "could not fetch" in trees.unavailable["libfuse"]
    with pytest.raises(SourceUnreachable) as caught:
        run(taken(posting(("libfuse",))), {"libfuse": away}, tmp_path / "c")
    assert isinstance(caught.value, InfraError)
    assert "\n" not in str(caught.value)


def test_a_worktree_that_a_killed_process_left_does_not_hinder(kernel: Path, tmp_path: Path) -> None:
    found = taken(posting(("kernel",)))
    sources = {"kernel": source(kernel)}
    run(found, sources, tmp_path / "c")
    repository = tmp_path / "c" / "repos" / "kernel.git"
    left = tmp_path / "c" / "worktrees" / "kernel" / "tree"
    left.parent.mkdir(parents=True)
    subprocess.run(["git", "worktree", "add", "-q", "--no-checkout", "--detach", left, "refs/reviewbot/base/master"],
                   cwd=repository, check=True, capture_output=True)  # fmt: skip
    mails = posting(("kernel",), patches=3)
    assert len(run(taken(mails), sources, tmp_path / "c").trees[0].patches) == 3


def test_the_preview_asks_nobody(tmp_path: Path) -> None:
    stack = stack_of({"kernel": source(tmp_path / "nowhere"), "libfuse": Source(provider="deb", package="fuse3")})
    lines = preview(taken(posting()).posting, stack, Bases({"kernel": "v6.19"}))
    kernel = lines[0]
    assert (kernel.component, kernel.base, kernel.why) == ("kernel", "v6.19", "named by --base")
    assert lines[1].source == "Debian package fuse3"


def test_a_tarball_with_other_bytes_than_its_sha256_says_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"something")
    stack = stack_of({"kernel": Source(provider="tarball", url=str(tmp_path / "a.tar"), sha256="1" * 64)})
    found = resolve(None, {}, stack, components=["kernel"], cache=tmp_path / "c")
    assert f"not {'1' * 64}" in found.unavailable["kernel"]
    with web_page(200, b"other bytes") as url:
        stack = stack_of({"kernel": Source(provider="tarball", url=url, sha256="1" * 64)})
        found = resolve(None, {}, stack, components=["kernel"], cache=tmp_path / "c")
    assert f"its sha256 is {hashlib.sha256(b'other bytes').hexdigest()}, not" in found.unavailable["kernel"]
    assert list((tmp_path / "c" / "downloads").iterdir()) == []


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64])
def test_a_tarball_without_a_sha256_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        Source(provider="tarball", url="https://example.org/a.tar.gz", sha256=digest)


def test_who_waits_for_a_repository_says_for_whom(kernel: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    waits = threading.Event()

    def listen(event: Event) -> None:
        heard.append(event)
        if event.state == "say":
            waits.set()

    stack, found = stack_of({"kernel": source(kernel)}), taken(posting(("kernel",)))
    cache = tmp_path / "cache"

    def trees() -> Trees:
        return resolve(found.posting, found.mails, stack, components=["kernel"], cache=cache, progress=listen)

    with ThreadPoolExecutor(1) as pool:
        with locked(cache / "locks" / "repository-kernel.lock", who="process 7, which is fetching and applying kernel"):
            resolved = pool.submit(trees)
            assert waits.wait(60)
        assert resolved.result(60).get("kernel")
    said = [event.text for event in heard if event.state == "say"]
    assert said == ["kernel waiting for process 7, which is fetching and applying kernel"]


@pytest.mark.parametrize("left", ["a lock of the shallow file", "commits without their history", "locks of refs"])
def test_what_a_killed_fetch_left_is_fetched_again(kernel: Path, tmp_path: Path, left: str) -> None:
    for number in range(3):
        (kernel / "more").write_text(f"{number}\n")
        git(kernel, "add", "-A")
        git(kernel, "commit", "-q", "-m", f"more {number}")
    found = taken(posting(("kernel",)))
    first = run(found, {"kernel": source(kernel)}, tmp_path / "cache").trees[0]
    repository = tmp_path / "cache" / "repos" / "kernel.git"
    assert (repository / "shallow").exists(), "fetched without history"
    match left:
        case "commits without their history":  # killed after its pack was complete
            for ref in git(repository, "for-each-ref", "--format=%(refname)").split():
                git(repository, "update-ref", "-d", ref)
            (repository / "shallow").unlink()
        case "locks of refs":
            for name in ("packed-refs.lock", "refs/reviewbot/base/master.lock", "HEAD.lock", "config.lock"):
                (repository / name).parent.mkdir(parents=True, exist_ok=True)
                (repository / name).touch()
            (kernel / "more").write_text("new\n")
            git(kernel, "commit", "-q", "-a", "-m", "new")
        case _:
            (repository / "shallow.lock").touch()
            (kernel / "more").write_text("new\n")
            git(kernel, "commit", "-q", "-a", "-m", "new")
    again = run(found, {"kernel": source(kernel)}, tmp_path / "cache").trees[0]
    assert again.base_commit == git(kernel, "rev-parse", "HEAD")
    assert (again.head_tree == first.head_tree) is (left == "commits without their history")
