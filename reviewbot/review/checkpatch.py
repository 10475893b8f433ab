# SPDX-License-Identifier: GPL-2.0-or-later
"""The checkpatch of the tree under test, run in the sandbox: it is code of a stranger."""

import re
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.host.git import git
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.model.base import Model
from reviewbot.model.review import ReviewFinding, Severity
from reviewbot.model.trees import Tree
from reviewbot.review.commits import Item, git_bytes
from reviewbot.review.text import one_line, some_lines

RULES = Path(__file__).with_name("checkpatch.yaml")
LIMIT = 120.0
"""Seconds for one patch."""
LARGEST = 4 << 20
"""Bytes of the largest patch that is given to it: it takes a second for each 3,000 lines."""
_SAID = 1 << 20
_LOG = 1 << 20
_MOST = 2000
"""Remarks that are read; far more than are shown."""
_HEADER = re.compile(r"^(.*?):(\d+): (ERROR|WARNING|CHECK):([A-Z0-9_]+): (.*)$")
_SEVERITY = {"ERROR": Severity.ERROR, "WARNING": Severity.WARNING, "CHECK": Severity.NOTE}


class Script(Model):
    """Where a component keeps the script."""

    component: str
    script: str
    reads: tuple[str, ...] = ()
    """More files of the tree that it reads; they keep their place relative to the script."""
    options: tuple[str, ...] = ()
    why: str = Field(min_length=10)


class Ignore(Model):
    """Types that are not shown."""

    types: tuple[str, ...] = Field(min_length=1)
    components: tuple[str, ...] = ("*",)
    why: str = Field(min_length=10)


class Rules(Model):
    """`checkpatch.yaml`."""

    scripts: tuple[Script, ...]
    ignore: tuple[Ignore, ...] = ()
    about_message: tuple[str, ...] = ()
    about_file: tuple[str, ...] = ()

    def ignored(self, component: str) -> frozenset[str]:
        return frozenset(
            kind
            for entry in self.ignore
            if any(fnmatchcase(component, pattern) for pattern in entry.components)
            for kind in entry.types
        )


def load_rules(path: Path = RULES) -> Rules:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Rules)


def extract(tree: Tree, rules: Rules, folder: Path) -> Script | None:
    """Put the script of base and what it reads into `folder`; None if the tree has no checkpatch.

    Of base, so that a patch cannot decide what is said of it.
    """
    script = next((entry for entry in rules.scripts if entry.component == tree.component), None)
    if script is None:
        return None
    repository = Path(tree.repository)
    listed = git(repository, "ls-tree", "-r", tree.base_commit, "--", script.script, *script.reads).output.splitlines()
    # Mode 120000 is a link: it could point anywhere, and nothing needs it.
    names = [line.partition("\t")[2] for line in listed if line.startswith("100")]
    if script.script not in names:
        return None
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(
            git_bytes(repository, "cat-file", "blob", f"{tree.base_commit}:{name}", scratch=folder)
        )
    return script


def check_patch(
    item: Item, script: Script, folder: Path, sandbox: Sandbox, rules: Rules, scratch: Path
) -> tuple[list[ReviewFinding], str]:
    """Findings, and why there are none if checkpatch could not do its work. `folder` is what `extract` filled."""
    if not (text := patch_text(item, scratch)):
        return [], ""
    if len(text) > LARGEST:
        return [], f"the patch is larger than {LARGEST >> 20} MiB"
    ignored = rules.ignored(item.tree.component)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        said, log = Path(name) / "said", Path(name) / "log"
        done = sandbox.run(
            ["perl", f"/src/{script.script}", "--no-tree", "--mailback", "--show-types", "--showfile", "--no-summary",
             "--color=never", "--quiet", *script.options, "--ignore", ",".join(sorted(ignored)), "-"],
            binds={"/src": Bind(folder)}, log=log, timeout=LIMIT, check=False, stdin=text, stdout=said,
            memory=2 << 30, file_size=_SAID, log_limit=_LOG, cwd="/tmp",
        )  # fmt: skip
        words = said.read_bytes().decode(errors="replace")
    findings = parse(words, rules, item.tree.component)
    if done.status and not findings and not _HEADER.search(words):
        last = one_line(done.output.strip().splitlines()[-1]) if done.output.strip() else "no output"
        return [], f"checkpatch exited with status {done.status}: {last}"
    return findings, ""


def patch_text(item: Item, scratch: Path) -> bytes:
    """The commit as `git format-patch` writes it, without the content of binary files; empty for a merge.

    Asked for one commit that is a merge, git would give its newest other ancestor.
    """
    if item.commit.parents > 1:
        return b""
    return git_bytes(
        Path(item.tree.repository),
        "-c",
        "core.quotePath=false",
        "format-patch",
        "--stdout",
        "--no-binary",
        "--no-ext-diff",
        "--no-textconv",
        "--no-signature",
        "--root",
        "-1",
        item.commit.id,
        scratch=scratch,
    )


def parse(said: str, rules: Rules, component: str) -> list[ReviewFinding]:
    """From its words to findings. A remark is a paragraph: the first line says what, the others show where."""
    ignored = rules.ignored(component)
    found: list[ReviewFinding] = []
    for paragraph in re.split(r"\n(?:[ \t]*\n)+", said):
        first, _, rest = paragraph.lstrip("\n").partition("\n")
        match = _HEADER.match(first)
        if not match or match[4] in ignored:
            continue
        if len(found) == _MOST:
            break
        about_message = not match[1] or match[4] in rules.about_message
        found.append(
            ReviewFinding(
                tool="checkpatch",
                severity=_SEVERITY[match[3]],
                message=one_line(f"{match[4]}: {match[5]}"),
                file="" if about_message else one_line(match[1]),
                line=0 if about_message or match[4] in rules.about_file else int(match[2]),
                detail=some_lines(rest) if rest.strip() else "",
            )
        )
    return found
