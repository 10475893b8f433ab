# SPDX-License-Identifier: GPL-2.0-or-later
"""Real sources in the real build root: the kernel's checkpatch, the FUSE protocol of kernel and libfuse."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewbot.build.debian import buildroot
from reviewbot.config import Reviewer, Site, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.model.stack import Source
from reviewbot.model.trees import AppliedPatch, Tree, Trees
from reviewbot.review import review
from reviewbot.store import Store
from reviewbot.trees import resolve
from tests.repos import ENV
from tests.review.trees import posting_of

pytestmark = [pytest.mark.build, pytest.mark.network]
SOURCES = {
    "kernel": Source(provider="deb", package="linux-source-6.12"),
    "libfuse": Source(provider="deb", package="fuse3", suite="trixie"),
    "e2fsprogs": Source(provider="deb", package="e2fsprogs", suite="trixie"),
}
KERNEL, LIBFUSE = "include/uapi/linux/fuse.h", "include/fuse_kernel.h"
FLAG = "#define FUSE_HAS_RESEND"


@dataclass(frozen=True, slots=True)
class Real:
    """Debian's sources, and a root to work in."""

    root: Path
    trees: Trees

    def patched(self, folder: Path, component: str, path: str, edit: Callable[[str], str], message: str) -> Tree:
        """The component with one commit on top, in a repository that borrows all others."""
        tree = self.trees.get(component)
        assert tree is not None
        repository = folder / f"{component}.git"
        env = {**ENV, "GIT_DIR": str(repository), "GIT_INDEX_FILE": str(folder / "index")}

        def git(*words: str, stdin: str = "") -> str:
            return subprocess.run(
                ["git", *words], env=env, input=stdin, check=True, capture_output=True, text=True
            ).stdout

        git("init", "-q", "--bare", str(repository))
        (repository / "objects/info/alternates").write_text(f"{tree.repository}/objects\n")
        git("read-tree", tree.base_commit)
        new = edit(git("show", f"{tree.base_commit}:{path}"))
        blob = git("hash-object", "-w", "--stdin", stdin=new).strip()
        git("update-index", "--cacheinfo", f"100644,{blob},{path}")
        tree_id = git("write-tree").strip()
        head = git("commit-tree", "-p", tree.base_commit, "-m", message, tree_id).strip()
        (folder / "index").unlink()
        patch = AppliedPatch(message_id=f"{component}.1@x", subject=message.partition("\n")[0], commit=head)
        update = {"repository": str(repository), "head_commit": head, "head_tree": tree_id, "patches": (patch,)}
        return tree.model_copy(update=update)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    logs = tmp_path_factory.mktemp("logs")
    root = Path(buildroot(Store(cache_dir()), "bookworm", logs / "root.log").path) / "root"
    stack = load_stack("fuse", Site(components=SOURCES))
    trees = resolve(None, {}, stack, components=set(SOURCES), cache=cache_dir())
    assert not trees.unavailable
    return Real(root, trees)


def test_a_flag_that_clashes_with_the_librarys_copy(real: Real, tmp_path: Path) -> None:
    message = (
        "fuse: change a flag of the protocol\n\nTo see what is said about it.\n\n"
        'Fixes: 0123456789ab ("fuse: something")\nSigned-off-by: A <a@x>\n'
    )
    bad = "#define FUSE_HAS_RESEND\t\t(1ULL << 42)\n#define FUSE_DEV_IOC_NEW _IO(FUSE_DEV_IOC_MAGIC, 1) \n//"
    kernel = real.patched(tmp_path, "kernel", KERNEL, lambda text: text.replace(FLAG, bad, 1), message)
    others = tuple(tree for tree in real.trees.trees if tree.component != "kernel")
    posting, mails, trees = posting_of(kernel, author="A <a@x>")
    reviewer = Reviewer(name="house", path=str(_reviewer(tmp_path)), command=("python3", "/reviewer/rules.py"))
    found = review(
        posting,
        mails,
        trees.model_copy(update={"trees": (kernel, *others)}),
        {},
        root=real.root,
        reviewers=(reviewer,),
        scratch=tmp_path / "scratch",
        logs=tmp_path / "logs",
        run="r",
        tool="t",
    )
    assert found.skipped == {}
    (patch,) = found.patches
    said = [(f.tool, f.severity.value, f.file, f.message) for f in patch.findings]
    assert ("house", "warning", "", "saw fuse.h of the kernel") in said
    assert ("checkpatch", "error", KERNEL, "TRAILING_WHITESPACE: trailing whitespace") in said
    assert not [f for f in said if f[0] == "whitespace"], "the same remark once"
    assert ("message", "note", "", "Fixes: 0123456789ab cannot be checked: the history is not available") in said
    series = [(f.severity.value, f.message) for f in found.findings]
    clash = next(message for severity, message in series if severity == "error")
    assert clash.startswith(f"FUSE_HAS_RESEND has different values in kernel {KERNEL}:")
    assert f" and libfuse {LIBFUSE}:" in clash
    assert any(text.startswith("2 ioctls of kernel have number 1 of type 0xe5") for _, text in series)
    assert [text for severity, text in series if severity == "note" and "FUSE_DEV_IOC_NEW" not in text] == [
        f"3 definitions differ between kernel {KERNEL} and libfuse {LIBFUSE} without this posting"
    ]


def test_ioctls_of_three_real_repositories_agree(real: Real, tmp_path: Path) -> None:
    message = "tune2fs: ask for another ioctl\n\nTo see what is said.\n\nSigned-off-by: A <a@x>\n"
    tree = real.patched(
        tmp_path, "e2fsprogs", "misc/tune2fs.c", lambda text: text.replace("_IOR(0x94, 49,", "_IOR(0x94, 51,"), message
    )
    kernel, libfuse = (t for t in real.trees.trees if t.component != "e2fsprogs")
    posting, mails, trees = posting_of(tree, author="A <a@x>")
    found = review(
        posting,
        mails,
        trees.model_copy(update={"trees": (kernel, libfuse, tree)}),
        {},
        root=real.root,
        reviewers=(),
        scratch=tmp_path / "scratch",
        logs=tmp_path / "logs",
        run="r",
        tool="t",
    )
    assert found.patches[0].findings == ()
    assert [f.message.partition(" in ")[0] for f in found.findings] == ["FS_IOC_GETFSLABEL is 0x81009431"]
    assert "but 0x81009433 in e2fsprogs misc/tune2fs.c:87" in found.findings[0].message
    assert found.skipped == {"checkpatch": "e2fsprogs has none in its tree"}


def _reviewer(folder: Path) -> Path:
    """The example of docs/review-checks.md, nearly."""
    (folder / "house").mkdir()
    (folder / "house/rules.py").write_text(
        "import email, json, os, sys\n"
        "mail = email.message_from_bytes(sys.stdin.buffer.read())\n"
        f"seen = 'FUSE_HAS_RESEND' in open('/src/{KERNEL}').read() and mail['Message-ID']\n"
        "print(json.dumps([{'tool': 'house', 'status': 'warn' if seen else 'pass',\n"
        "                   'summary': 'saw fuse.h of the ' + os.environ['COMPONENT'], 'url': '', 'details': ''}]))\n"
    )
    return folder / "house"
