# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of checkpatch's words, and that it runs in the sandbox, from base."""

import shutil
from pathlib import Path

import pytest

from reviewbot.host.sandbox import Sandbox
from reviewbot.review.checkpatch import check_patch, extract, load_rules, parse
from reviewbot.review.commits import patches_under_review
from tests.repos import git
from tests.review.trees import HOST, SIGNED, make_tree, posting_of

RULES = load_rules()
SAID = """\
:1: WARNING:COMMIT_LOG_LONG_LINE: Prefer a maximum 75 chars per line (possible unwrapped commit description?)
This is in commit 1234 and goes on.
fs/fuse/evil.c:1: ERROR:SPACING: of the commit message, not of checkpatch

fs/fuse/file.c:13: ERROR:SPACING: spaces required around that '=' (ctx:VxV)
+int  y=1;
       ^

fs/fuse/file.c:14: CHECK:BRACES: braces \x1b[31m{} should be used
+	if (x) {

fs/fuse/new.c:17: WARNING:FILE_PATH_CHANGES: added, moved or deleted file(s), does MAINTAINERS need updating?
new file mode 100644

fs/fuse/new.c:1: WARNING:MISSING_FIXES_TAG: The commit message has 'stable@', perhaps it also needs a 'Fixes:' tag?

"""
# Says what it sees of its surroundings, in checkpatch's own form.
SCRIPT = """\
my $mail = join '', <STDIN>;
my $files = join ' ', sort(glob('/src/*'), glob('/src/scripts/*'));
my $subject = $mail =~ /^Subject: (.*)$/m ? $1 : '';
print "a.c:1: WARNING:SEEN: @ARGV[0] $files $subject\\n+x\\n\\n";
print STDERR "to stderr\\n";
open(my $f, '>', '/src/x') and print "a.c:1: ERROR:WRITES: x\\n\\n";
exit 1;
"""


def test_remarks_become_findings() -> None:
    found = parse(SAID, RULES, "kernel")
    assert [(f.severity, f.file, f.line, f.message.partition(":")[0]) for f in found] == [
        ("warning", "", 0, "COMMIT_LOG_LONG_LINE"),
        ("error", "fs/fuse/file.c", 13, "SPACING"),
        ("note", "fs/fuse/file.c", 14, "BRACES"),
        ("warning", "", 0, "MISSING_FIXES_TAG"),
    ]
    assert found[1].detail == "+int  y=1;\n       ^" and "\x1b" not in found[2].message


def test_rules_of_kernel_code_are_not_held_against_libfuse() -> None:
    said = "lib/a.c:1: WARNING:PREFER_KERNEL_TYPES: x\n\nlib/a.c:2: ERROR:SPACING: y\n"
    assert [f.line for f in parse(said, RULES, "libfuse")] == [2]


@pytest.fixture
def sandbox() -> Sandbox:
    if shutil.which("bwrap") is None or shutil.which("perl") is None:
        pytest.skip("bwrap or perl is not installed")
    return Sandbox(HOST)


def run(folder: Path, sandbox: Sandbox, script: str, change: dict[str, str] | None = None) -> tuple[list[str], str]:
    base = {"scripts/checkpatch.pl": script, "scripts/spelling.txt": "a||b\n", "fs/a.c": "1\n"}
    tree = make_tree(folder / "kernel", "kernel", base, [("fs: do it" + SIGNED, change or {"fs/a.c": "2\n"})])
    (item,) = patches_under_review(posting_of(tree)[0], tree)
    (folder / "files").mkdir()
    entry = extract(tree, RULES, folder / "files")
    assert entry is not None
    found, problem = check_patch(item, entry, folder / "files", sandbox, RULES, folder)
    return [f"{f.severity} {f.file}:{f.line} {f.message}" for f in found], problem


def test_the_script_of_base_sees_the_patch_and_only_its_own_files(tmp_path: Path, sandbox: Sandbox) -> None:
    (found,), problem = run(tmp_path, sandbox, SCRIPT, {"scripts/checkpatch.pl": "exit 0;\n", "fs/a.c": "2\n"})
    assert problem == ""
    assert found == (
        "warning a.c:1 SEEN: --no-tree /src/scripts /src/scripts/checkpatch.pl /src/scripts/spelling.txt "
        "[PATCH] fs: do it"
    )


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("die 'no idea';", "checkpatch exited with status 255: no idea at /src/scripts/checkpatch.pl line 1."),
        ("exit 1;", "checkpatch exited with status 1: no output"),
    ],
)
def test_a_script_that_fails_is_not_the_patchs_fault(
    tmp_path: Path, sandbox: Sandbox, script: str, problem: str
) -> None:
    assert run(tmp_path, sandbox, script) == ([], problem)


def test_a_script_that_talks_without_end_is_cut(tmp_path: Path, sandbox: Sandbox) -> None:
    found, _ = run(tmp_path, sandbox, 'my $n = 1; while (1) { print "a.c:$n: ERROR:X: y\\n\\n"; $n++; }')
    assert len(found) == 2000


def test_a_link_in_place_of_the_script_is_not_followed(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "kernel", "kernel", {"a": "1"}, [])
    folder = tmp_path / "kernel"
    (folder / "scripts").mkdir()
    (folder / "scripts/checkpatch.pl").symlink_to("/etc/passwd")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "link")
    assert extract(tree.model_copy(update={"base_commit": git(folder, "rev-parse", "HEAD")}), RULES, tmp_path) is None
