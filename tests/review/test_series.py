# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole step on real repositories."""

import shutil
from pathlib import Path

import pytest

from reviewbot.config import Reviewer
from reviewbot.model.progress import Event
from reviewbot.model.review import PatchBuild, Review, Severity
from reviewbot.model.trees import AppliedPatch, Tree
from reviewbot.review import review
from tests.repos import git
from tests.review.test_copies import BASE, KERNEL, LIBFUSE
from tests.review.trees import HOST, SIGNED, make_tree, posting_of


def kernel(folder: Path, count: int = 2) -> Tree:
    changes = [(f"fuse: step {n}{SIGNED}", {"fs/fuse/file.c": f"int a = {n};\n"}) for n in range(1, count + 1)]
    return make_tree(folder / "kernel", "kernel", {"fs/fuse/file.c": "int a;\n", KERNEL: BASE}, changes)


def run(
    folder: Path,
    *trees: Tree,
    builds: dict[str, PatchBuild] | None = None,
    root: Path | None = None,
    reviewers: tuple[Reviewer, ...] = (),
    events: list[Event] | None = None,
) -> Review:
    posting, mails, found = posting_of(*trees, author="A <a@x>")
    return review(
        posting,
        mails,
        found,
        builds or {},
        root=root,
        reviewers=reviewers,
        scratch=folder / "scratch",
        logs=folder / "logs",
        run="20260101-000000-0000",
        tool="reviewbot test",
        progress=(events if events is not None else []).append,
    )


def test_each_patch_is_named_with_its_place_in_the_posting(tmp_path: Path) -> None:
    events: list[Event] = []
    found = run(tmp_path, kernel(tmp_path, 3), events=events)
    assert [(p.component, p.message_id, p.subject, p.part, p.number, p.total) for p in found.patches] == [
        ("kernel", f"kernel.{n}@x", f"fuse: step {n}", "1/1", n, 3) for n in (1, 2, 3)
    ]
    assert [p.findings for p in found.patches] == [(), (), ()]
    assert (found.run, found.tool) == ("20260101-000000-0000", "reviewbot test")
    assert sorted(e.done for e in events if e.state == "note") == [1, 2, 3] and {e.step for e in events} == {"review"}
    assert list((tmp_path / "scratch").iterdir()) == []
    assert Review.model_validate_json(found.model_dump_json()) == found


def test_what_needs_the_build_root_is_skipped_with_the_reason(tmp_path: Path) -> None:
    found = run(tmp_path, kernel(tmp_path), reviewers=(Reviewer(name="rules", path="/x"),))
    reason = "it runs in the build root, which is missing"
    assert (found.skipped["checkpatch"], found.skipped["rules"]) == (reason, reason)
    assert found.skipped["copies"].endswith(
        "the source of libfuse is not here; "
        "ioctl numbers are not compared with those of libfuse and e2fsprogs, whose source is not here"
    )


def test_prerequisites_and_what_base_has_are_not_reviewed(tmp_path: Path) -> None:
    tree = kernel(tmp_path, 3)
    first, second, third = tree.patches
    marked = (first.model_copy(update={"prerequisite": True}), second.model_copy(update={"merged": True}), third)
    found = run(tmp_path, tree.model_copy(update={"patches": marked}))
    assert [(p.commit, p.number, p.total) for p in found.patches] == [(third.commit, 3, 3)]


def test_patches_of_a_pull_request_have_no_mail(tmp_path: Path) -> None:
    tree = kernel(tmp_path)
    bare = tuple(AppliedPatch(message_id="", subject=p.subject, commit=p.commit) for p in tree.patches)
    posting, _, trees = posting_of(tree.model_copy(update={"patches": bare}))
    found = review(
        posting.model_copy(update={"parts": (posting.parts[0].model_copy(update={"patches": ()}),)}),
        {},
        trees,
        {},
        root=None,
        reviewers=(),
        scratch=tmp_path / "s",
        logs=tmp_path / "l",
        run="r",
        tool="t",
    )
    assert [(p.message_id, p.number, p.total) for p in found.patches] == [("", 1, 2), ("", 2, 2)]


def test_builds_messages_and_whitespace_meet_in_one_list(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path / "kernel",
        "kernel",
        {"fs/a.c": "int a;\n"},
        [("fs: do it\n\nBecause.\n", {"fs/a.c": "int a; \n"})],
    )
    commit = tree.patches[0].commit
    build = PatchBuild(commit=commit, state="failed", error="no such type", place="fs/a.c:1")
    (patch,) = run(tmp_path, tree, builds={commit: build}).patches
    assert patch.build == build
    assert [(f.tool, f.severity, f.file, f.line) for f in patch.findings] == [
        ("message", "error", "", 0),
        ("build", "error", "fs/a.c", 1),
        ("whitespace", "warning", "fs/a.c", 1),
    ]


def test_copies_out_of_step_are_a_finding_of_the_series(tmp_path: Path) -> None:
    new = BASE.replace("enum", "#define FUSE_NEW (1 << 9)\nenum")
    trees = (
        make_tree(tmp_path / "kernel", "kernel", {KERNEL: BASE}, [("fuse: new" + SIGNED, {KERNEL: new})]),
        make_tree(tmp_path / "libfuse", "libfuse", {LIBFUSE: BASE}, [("lib: x" + SIGNED, {"lib/x.c": "x\n"})]),
    )
    found = run(tmp_path, *trees)
    assert [(f.tool, f.severity, f.file, f.line) for f in found.findings] == [("copies", "warning", KERNEL, 8)]
    assert found.findings[0].detail == f"{KERNEL}:8: #define FUSE_NEW (1 << 9) (kernel patch 1/1)"
    assert found.count(Severity.WARNING) == 1


def test_reviewers_of_patches_and_of_the_series_get_their_mails(tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    program = tmp_path / "check"
    program.write_text(
        "#!/bin/sh\ns=$(sed -n 's/^Message-ID: //p' | tr -d '<>')\n"
        """echo '[{"tool": "x", "status": "warn", "summary": "'"$s $(cat /src/fs/fuse/file.c)"'"}]'\n"""
    )
    program.chmod(0o755)
    reviewers = (
        Reviewer(name="each", path=str(program)),
        Reviewer(name="all", path=str(program), scope="series"),
    )
    found = run(tmp_path, kernel(tmp_path), root=HOST, reviewers=reviewers)
    assert [[(f.tool, f.message) for f in p.findings] for p in found.patches] == [
        [("each", f"x: kernel.{n}@x int a = 2;")] for n in (1, 2)
    ]
    assert [(f.tool, f.message) for f in found.findings] == [("all", "x: kernel.0@x int a = 2;")]
    assert found.skipped["checkpatch"] == "kernel has none in its tree"


def test_hostile_commits_are_reviewed_like_others(tmp_path: Path) -> None:
    message = "fuse: \x1b]0;x\x07" + "y" * 80 + "\n\nFixes: \x1b[31m\nLink: \u202ex\n"
    files = {"fs/a\tb\x1b[1m.c": "x \n", "-rf": "y \n", "--output=x": "z \n"}
    tree = make_tree(tmp_path / "kernel", "kernel", {"a": "a\n"}, [(message, files)])
    (patch,) = run(tmp_path, tree).patches
    said = "".join(f.message + f.detail + f.file for f in patch.findings)
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said
    assert {f.tool for f in patch.findings} == {"message", "whitespace"}
    assert sum(f.tool == "whitespace" for f in patch.findings) == 3


def test_a_merge_of_a_pulled_branch_is_not_taken_for_its_last_patch(tmp_path: Path) -> None:
    tree = kernel(tmp_path, 1)
    folder = tmp_path / "kernel"
    git(folder, "checkout", "-q", "-b", "side", tree.base_commit)
    (folder / "b.c").write_text("int b; \n")
    git(folder, "add", "b.c")
    git(folder, "commit", "-q", "-m", "side: b" + SIGNED)
    git(folder, "checkout", "-q", "master")
    git(folder, "merge", "-q", "--no-ff", "-m", "Merge side", "side")
    names = git(folder, "rev-list", "--reverse", f"{tree.base_commit}..HEAD").split()
    patches = tuple(AppliedPatch(message_id="", subject="", commit=name) for name in names)
    found = run(tmp_path, tree.model_copy(update={"head_commit": names[-1], "patches": patches}))
    assert {p.subject: [f.file for f in p.findings] for p in found.patches} == {
        "fuse: step 1": [],
        "side: b": ["b.c"],
        "Merge side": [],
    }
