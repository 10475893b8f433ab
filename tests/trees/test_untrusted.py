# SPDX-License-Identifier: GPL-2.0-or-later
"""What strangers may put into a patch, and what becomes of it."""

import base64
import quopri
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.model.verdict import VerdictKind
from reviewbot.trees import DoesNotApply, RefusedPatch
from reviewbot.trees.diffs import files_of, hunks_of, mail_diff
from reviewbot.trees.safety import MAX_PATCH, unsafe_link, unsafe_path
from tests.repos import ENV, git
from tests.trees.series import (
    FILE,
    NUMBERED,
    Series,
    by_hand,
    commit,
    edited,
    file_at,
    new_repository,
    resolved,
    series,
    tried,
    write,
)

HEAD = "From: A <a@x>\nSubject: [PATCH] x\nDate: Mon, 2 Nov 2026 09:00:00 +0000\n\nDo it.\n---\n"


def new_file(path: str, text: str = "x", mode: str = "100644") -> str:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0000000..1111111\n--- /dev/null\n"
        f"+++ b/{path}\n@@ -0,0 +1 @@\n+{text}\n"
    )


def link(path: str, target: str) -> str:
    return new_file(path, target, "120000") + "\\ No newline at end of file\n"


def mails(*diffs: str) -> Series:
    return by_hand([(HEAD + diff + "-- \n2.39.5\n").encode() for diff in diffs])


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "kernel")


def outside(folder: Path) -> list[Path]:
    """Files that are neither of a repository nor of the cache."""
    return [p for p in folder.rglob("evil*") if "kernel" not in p.relative_to(folder).parts[0]]


@pytest.mark.parametrize(
    "path",
    ["../evil.c", "a/../../evil.c", "fs/../../evil.c", "/tmp/evil.c", ".git/config", ".GIT/hooks/evil", "fs/.git/x",
     "git~1/config", ".git./config", ".g\u200cit/config", "a//b", "./x"],
)  # fmt: skip
def test_a_path_that_leaves_the_tree_is_refused_with_its_reason(kernel: Path, tmp_path: Path, path: str) -> None:
    with pytest.raises(RefusedPatch) as caught:
        resolved(mails(new_file(path)), kernel, tmp_path / "c")
    error = caught.value
    assert error.verdict is VerdictKind.DOES_NOT_APPLY
    assert path in error.reason
    assert "is refused: " in str(error)
    assert not outside(tmp_path)


def test_a_rename_or_copy_out_of_the_tree_is_refused(kernel: Path, tmp_path: Path) -> None:
    for word in ("rename", "copy"):
        diff = f"diff --git a/{FILE} b/x\nsimilarity index 100%\n{word} from {FILE}\n{word} to ../evil.c\n"
        with pytest.raises(RefusedPatch):
            resolved(mails(diff), kernel, tmp_path / "c")


@pytest.mark.parametrize("target", ["/etc", "..", "../../x", "fs/../../..", "fuse/../..", ".git", "../.git/config"])
def test_a_link_that_leaves_the_tree_is_refused(kernel: Path, tmp_path: Path, target: str) -> None:
    path = "evil" if target != "../.git/config" else "fs/evil"
    with pytest.raises(RefusedPatch, match="the symbolic link"):
        resolved(mails(link(path, target)), kernel, tmp_path / "c")


def test_a_link_within_the_tree_is_taken(kernel: Path, tmp_path: Path) -> None:
    tree = resolved(mails(link("fs/link", "../fs/fuse/file.c")), kernel, tmp_path / "c")
    assert file_at(tree, "fs/link") == "../fs/fuse/file.c"


def test_a_link_that_a_later_patch_hides_is_still_refused(kernel: Path, tmp_path: Path) -> None:
    gone = "diff --git a/evil b/evil\ndeleted file mode 120000\nindex 1111111..0000000\n--- a/evil\n+++ /dev/null\n"
    gone += "@@ -1 +0,0 @@\n-/etc\n\\ No newline at end of file\n"
    with pytest.raises(RefusedPatch) as caught:
        resolved(mails(link("evil", "/etc"), gone), kernel, tmp_path / "c")
    assert caught.value.number == 1


@pytest.mark.parametrize("target", ["..", "fs"])
def test_nothing_is_written_through_a_link(kernel: Path, tmp_path: Path, target: str) -> None:
    with pytest.raises(DoesNotApply) as caught:
        resolved(mails(link("way", target), new_file("way/evil.c")), kernel, tmp_path / "c")
    assert caught.value.number in (1, 2)
    assert not outside(tmp_path)


def test_nothing_is_written_through_a_link_of_the_base(kernel: Path, tmp_path: Path) -> None:
    (kernel / "way").symlink_to("../..")
    commit(kernel, "a link of the tree itself")
    with pytest.raises(DoesNotApply) as caught:
        resolved(mails(new_file("way/evil.c")), kernel, tmp_path / "c")
    assert "beyond a symbolic link" in caught.value.words
    assert not outside(tmp_path)


def test_a_submodule_is_refused(kernel: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedPatch, match="would be a submodule"):
        resolved(mails(new_file("sub", f"Subproject commit {'ab' * 20}", "160000")), kernel, tmp_path / "c")


def test_hooks_filters_and_drivers_run_from_nowhere(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    mark = tmp_path / "it-ran"
    touch = f"sh -c 'touch {mark}; cat'"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    (home / ".gitconfig").write_text(
        f'[filter "evil"]\n clean = {touch}\n smudge = {touch}\n[diff "evil"]\n textconv = {touch}\n'
        f'[merge "evil"]\n driver = {touch}\n[core]\n hooksPath = {tmp_path}/hooks\n fsmonitor = {touch}\n'
    )
    (tmp_path / "hooks").mkdir()
    for name in ("applypatch-msg", "pre-applypatch", "post-applypatch", "post-checkout", "reference-transaction"):
        (tmp_path / "hooks" / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (tmp_path / "hooks" / name).chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    write(kernel, {".gitattributes": "* filter=evil diff=evil\n"}, "of the tree")
    attributes = new_file("fs/.gitattributes", "* filter=evil diff=evil merge=evil text eol=crlf")
    first = series(_topic(kernel), "master..topic")
    part = by_hand([*(raw.partition(b"\n")[2] for raw in first.mails.values()), (HEAD + attributes).encode()])
    tree = resolved(part, kernel, tmp_path / "c")
    assert len(tree.patches) == 2
    assert not mark.exists()


def _topic(kernel: Path) -> Path:
    git(kernel, "checkout", "-q", "-b", "topic")
    write(kernel, {FILE: edited(30)}, "topic")
    git(kernel, "checkout", "-q", "master")
    return kernel


def test_a_b4_config_in_the_tree_is_a_file_as_any_other(kernel: Path, tmp_path: Path) -> None:
    tree = resolved(mails(new_file(".b4-config", "[b4] midmask = http://evil")), kernel, tmp_path / "c")
    assert "evil" in file_at(tree, ".b4-config")


def test_a_binary_patch_applies_and_one_without_data_is_refused(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "checkout", "-q", "-b", "topic")
    write(kernel, {"fs/blob": bytes(range(256)) * 9}, "binary")
    git(kernel, "checkout", "-q", "master")
    tree = resolved(series(kernel, "master..topic"), kernel, tmp_path / "c")
    assert tree.head_tree == git(kernel, "rev-parse", "topic^{tree}")
    bare = "diff --git a/fs/b b/fs/b\nnew file mode 100644\nindex 0000000..1111111\n"
    bare += "Binary files /dev/null and b/fs/b differ\n"
    with pytest.raises(RefusedPatch, match=r"the binary file fs/b has no data \(git diff --binary\)"):
        resolved(mails(bare), kernel, tmp_path / "c")


def test_a_patch_of_fifty_megabytes_is_refused_by_its_size(kernel: Path, tmp_path: Path) -> None:
    text = new_file("big").replace("@@ -0,0 +1 @@", "@@ -0,0 +1,500001 @@") + ("+" + "x" * 103 + "\n") * 500_000
    with pytest.raises(RefusedPatch) as caught:
        resolved(mails(text), kernel, tmp_path / "c")
    assert caught.value.reason == "it has 50 MiB, the limit is 16 MiB"
    assert MAX_PATCH == 16 << 20


def test_a_series_may_not_be_large_by_number(kernel: Path, tmp_path: Path) -> None:
    text = new_file("big").replace("@@ -0,0 +1 @@", "@@ -0,0 +1,120001 @@") + ("+" + "x" * 103 + "\n") * 120_000
    with pytest.raises(RefusedPatch, match="48 MiB, the limit"):
        resolved(mails(*[text] * 6), kernel, tmp_path / "c")


def test_modes_and_odd_names_survive(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "checkout", "-q", "-b", "topic")
    names = ["fuse4fs@.service.in", "with space", 'with "quotes"', "naïve", "tab\there", "star*[x]!#"]
    write(kernel, {f"d/{name}": "x\n" for name in names}, "odd names")
    write(kernel, {f"d/{name}": "x\ny\n" for name in names}, "odd names again")
    (kernel / FILE).chmod(0o755)
    commit(kernel, "mode")
    raw = b"caf\xe9"
    subprocess.run(["sh", "-c", 'printf "z\\n" > "$(printf "caf\\351")"'], cwd=kernel, env=ENV, check=True)
    commit(kernel, "latin-1")
    git(kernel, "mv", "d/with space", "d/moved here")
    commit(kernel, "renamed")
    tip = git(kernel, "rev-parse", "topic^{tree}")
    git(kernel, "checkout", "-q", "-f", "master")
    tree = resolved(series(kernel, "master..topic"), kernel, tmp_path / "c")
    assert tree.head_tree == tip
    listing = subprocess.run(["git", "ls-tree", "-z", "--name-only", tree.head_commit], cwd=tree.repository, env=ENV,
                             check=True, capture_output=True).stdout  # fmt: skip
    assert raw in listing.split(b"\0")


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def test_a_mail_whose_line_ends_were_changed_on_the_way(kernel: Path, tmp_path: Path) -> None:
    found = series(_topic(kernel), "master..topic")
    changed = {key: raw.replace(b"\n", b"\r\n") for key, raw in found.mails.items()}
    tree = resolved(Series(found.part, changed), kernel, tmp_path / "c")
    assert tree.head_tree == git(kernel, "rev-parse", "topic^{tree}")


def encoded_with_crlf(raw: bytes, how: str) -> bytes:
    """As mailers do that send text as RFC 2045 asks: CRLF at the end of each line, whatever the file has there."""
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    kept = [row for row in head.split(b"\n") if b"Content-" not in row and b"MIME-" not in row]
    text = body.replace(b"\n", b"\r\n")
    if how == "quoted-printable":
        text = text.replace(b"=", b"=3D").replace(b"\r\n", b"=0D\n")
    else:
        text = base64.encodebytes(text)
    part = [b"Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {how}".encode(), b"", text]
    return b"\n".join([*kept, b"MIME-Version: 1.0", *part])


@pytest.mark.parametrize(
    "transit",
    [
        "as sent",
        "carriage returns lost",
        "quoted-printable",
        "all line ends changed",
        "encoded: base64",
        "encoded: quoted-printable",
    ],
)
def test_a_file_with_crlf_is_patched_whatever_the_mail_lost(tmp_path: Path, transit: str) -> None:
    kernel = new_repository(tmp_path / "kernel", {FILE: crlf(NUMBERED), "unix": NUMBERED})
    git(kernel, "checkout", "-q", "-b", "topic")
    write(kernel, {FILE: crlf(edited(30)), "unix": edited(20)}, "dos and unix")
    write(kernel, {FILE: crlf(edited(30, 31))}, "dos again")
    git(kernel, "checkout", "-q", "master")
    found = series(kernel, "master..topic")

    def moved(raw: bytes) -> bytes:
        if transit.startswith("encoded: "):
            return encoded_with_crlf(raw, transit.removeprefix("encoded: "))
        head, _, body = raw.partition(b"\n\n")
        if transit == "quoted-printable":
            coded = quopri.encodestring(body.replace(b"\r", b"\x01")).replace(b"=01", b"=0D")
            kept = [row for row in head.split(b"\n") if b"Content-" not in row and b"MIME-" not in row]
            return b"\n".join(
                [
                    *kept,
                    b"MIME-Version: 1.0",
                    b"Content-Type: text/plain; charset=utf-8",
                    b"Content-Transfer-Encoding: quoted-printable",
                    b"",
                    coded,
                ]
            )
        if transit == "carriage returns lost":
            return raw.replace(b"\r\n", b"\n")
        return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if transit == "all line ends changed" else raw

    tree = resolved(Series(found.part, {k: moved(v) for k, v in found.mails.items()}), kernel, tmp_path / "c")
    assert tree.head_tree == git(kernel, "rev-parse", "topic^{tree}")
    assert (("CRLF line ends", "lost in transit, restored in 2 patches") in tried(tree)) is (
        transit != "quoted-printable"
    )


def test_a_patch_attached_with_crlf_is_applied(kernel: Path, tmp_path: Path) -> None:
    found = series(_topic(kernel), "master..topic")
    coded = {}
    for key, raw in found.mails.items():
        head, _, body = encoded_with_crlf(raw, "base64").partition(b"\n\n")
        headers = [row for row in head.split(b"\n") if b"Content-" not in row]
        text = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" + body
        mixed = b'Content-Type: multipart/mixed; boundary="=-="\n\n--=-=\n' + text + b"\n--=-=--\n"
        coded[key] = b"\n".join([*headers, mixed])
    tree = resolved(Series(found.part, coded), kernel, tmp_path / "c")
    assert tree.head_tree == git(kernel, "rev-parse", "topic^{tree}")


def test_base64_is_read_as_git_reads_it(kernel: Path, tmp_path: Path) -> None:
    found = series(_topic(kernel), "master..topic")
    coded = {}
    for key, raw in found.mails.items():
        head, _, body = raw.partition(b"\n\n")
        coded[key] = (
            head
            + b"\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            + (b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(body))
        )
    tree = resolved(Series(found.part, coded), kernel, tmp_path / "c")
    assert tree.head_tree == git(kernel, "rev-parse", "topic^{tree}")
    assert tree.base_why == "default of the stack: master; the one blob id matches"


names = st.lists(st.sampled_from(["..", ".", "", "a", "b", ".git", "x y"]), min_size=1, max_size=5)


@given(names, st.integers(0, 3), st.booleans())
def test_no_link_that_is_taken_leads_out(parts: list[str], depth: int, absolute: bool) -> None:
    path = "/".join([*("d" * depth), "link"])
    target = ("/" if absolute else "") + "/".join(parts)
    if not unsafe_link(path, target):
        here = ["d"] * depth
        for part in target.split("/"):
            if part == "..":
                assert here, (path, target)
                here.pop()
            elif part not in ("", "."):
                here.append(part)


@given(st.lists(st.sampled_from(["..", ".", "a", ".git", ".Git", "git~1", ".gitignore", "b"]), min_size=1))
def test_no_path_that_is_taken_leads_out_or_into_git(parts: list[str]) -> None:
    bad = {"..", ".", ".git", ".Git", "git~1"} & set(parts)
    assert bool(unsafe_path("/".join(parts))) is bool(bad)


@given(
    st.binary(max_size=400)
    | st.lists(
        st.sampled_from(
            [
                b"diff --git a/x b/x",
                b"--- a/x",
                b"+++ b/x",
                b"@@ -1 +1,2 @@",
                b"+y",
                b" z",
                b"-q",
                b"",
                b'rename from "\\377',
                b"index 1234567..89abcde 100644",
                b"GIT binary patch",
                b"> diff --git a/y b/y",
                b'diff --git "a/\\303',
                b"@@ -9",
            ]
        ),
        max_size=30,
    ).map(b"\n".join)
)
def test_no_bytes_confuse_the_reader_of_diffs(data: bytes) -> None:
    for file in files_of(data):
        assert file.paths
    hunks_of(data)
    mail_diff(b"Subject: x\n\n" + data)


def test_a_quoted_diff_is_none() -> None:
    quoted = "".join(f"> {line}\n" for line in new_file("x").splitlines())
    assert files_of(quoted.encode()) == ()


def test_a_commit_that_changes_other_paths_than_its_mail_said_is_refused(kernel: Path, tmp_path: Path) -> None:
    found = series(_topic(kernel), "master..topic")
    (patch,) = found.part.patches
    for paths in (("fs/fuse/dev.c",), (FILE, "fs/fuse/dev.c"), ("fs/fuse/dev.c", "fs/fuse/inode.c")):
        lying = found.but(patches=(patch.model_copy(update={"paths": paths}),))
        for _ in range(2):  # what an earlier run applied is held against it, too
            with pytest.raises(RefusedPatch, match="is refused: the mail says it changes .*dev.c.* changed " + FILE):
                resolved(lying, kernel, tmp_path / "c")
    assert len(
        resolved(found.but(patches=(patch.model_copy(update={"paths": (FILE,)}),)), kernel, tmp_path / "c").patches
    )


def test_a_mail_within_a_mail_is_no_second_commit(kernel: Path, tmp_path: Path) -> None:
    inner = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n" + HEAD + new_file("fs/more")
    tree = resolved(mails(new_file("fs/good") + "-- \n2.39.5\n\n" + inner), kernel, tmp_path / "c")
    assert git(Path(tree.repository), "rev-list", "--count", f"{tree.base_commit}..{tree.head_commit}") == "1"


def test_renames_copies_modes_and_odd_names_are_what_their_mails_say(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "checkout", "-q", "-b", "topic")
    git(kernel, "mv", FILE, "fs/fuse/moved.c")
    commit(kernel, "move")
    write(kernel, {"fs/fuse/copied.c": NUMBERED, "fs/fuse/moved.c": edited(5)}, "copy")
    (kernel / "fs/fuse/moved.c").chmod(0o755)
    commit(kernel, "mode")
    write(kernel, {'fs/ä "b\\\t.c': "x\n"}, "name")
    git(kernel, "checkout", "-q", "master")
    git(kernel, "config", "diff.renames", "copies")
    tree = resolved(series(kernel, "master..topic"), kernel, tmp_path / "c")
    assert tree.head_tree == git(kernel, "rev-parse", "topic^{tree}")
