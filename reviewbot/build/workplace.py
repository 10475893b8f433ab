# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the patches of a component are built one after the other: a checkout and objects of its own, both kept."""

import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import basename

from reviewbot.build.affected import (
    Affected,
    Change,
    affected,
    affects_anything,
    changes,
    folders_of,
    learn,
    load_unaffecting,
)  # fmt: skip
from reviewbot.build.errors import FirstError, all_errors
from reviewbot.build.kconfig import fragment_text, load_fragments
from reviewbot.build.kept import KeptObjects
from reviewbot.build.warnings import KERNEL_DOC, TOOLS, Warnings, chokes, parse, without_checker
from reviewbot.host.files import sha256_file
from reviewbot.host.git import checkout
from reviewbot.host.process import CommandFailed, no_room
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.model.artifacts import Artifact
from reviewbot.model.errors import DiskFull
from reviewbot.store import Store

VERSION = "1"
LOG_LIMIT = 16 << 20
"""Bytes of a build's output that are kept: a makefile may print for ever."""
_RECIPES = Path(__file__).parent / "recipes"
_NO_RULE = re.compile(r"^make(?:\[\d+\])?: \*\*\* No rule to make target '([^']+)'\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one build did."""

    said: Warnings = field(default_factory=dict)
    """The objects that were compiled, and their warnings."""
    errors: tuple[FirstError, ...] = ()
    """Empty: it succeeded."""
    seconds: float = 0.0
    cut: bool = False
    """Its output was longer than what is kept."""


class Workplace(ABC):
    """Builds commits of one component."""

    def __init__(self, store: Store, component: str, repository: Path, root: Artifact, more: Mapping[str, str]) -> None:
        self.component, self.repository = component, repository
        self.box = Sandbox(Path(root.path) / "root")
        self.script = _RECIPES / f"{component}-review.sh"
        self.source = store.scratch(f"src/{component}-review")
        self.inputs = {"buildroot": root.key, "recipe": sha256_file(self.script), "version": VERSION, **more}
        """All that decides about a build but the tree itself."""
        self.kept = KeptObjects(store.scratch(f"obj/{component}-review-{root.key[:12]}"), self.inputs)
        self.tools: tuple[str, ...] = TOOLS
        """Whose warnings count."""
        self.note = ""
        """What could not be checked, and why."""

    @abstractmethod
    def plan(self, patches: Mapping[str, tuple[Change, ...]]) -> dict[str, Affected]:
        """Commit -> what to build for it."""

    @abstractmethod
    def build(self, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        """Raises CommandTimeout, InfraError."""

    def judge(self, targets: Sequence[str]) -> str:
        """Called once the state before the patches is built. Returns what turned out not to work, or nothing."""
        return ""

    def _run(
        self, commit: str, arguments: Sequence[str], env: Mapping[str, str], log: Path, timeout: float,
        binds: Mapping[str, Bind] | None = None, stdin: str = "",
    ) -> Compiled:  # fmt: skip
        started = time.monotonic()
        log.unlink(missing_ok=True)
        with self.kept.building():
            done = self.box.run(
                ["bash", "-eu", "-o", "pipefail", f"/recipe/{self.script.name}", *arguments],
                binds={"/src": Bind(self.source), "/obj": Bind(self.kept.folder, writable=True),
                       "/recipe": Bind(self.script.parent), **(binds or {})},
                env=env, log=log, timeout=timeout, check=False, log_limit=LOG_LIMIT,
                stdin=stdin.encode(),
            )  # fmt: skip
            text = log.read_text(errors="replace")
            if done.status and text.startswith("bwrap: "):
                raise CommandFailed(done.argv, done.status, text, log=log)
            if done.status and no_room(self.kept.folder, said=text):
                raise DiskFull(str(self.kept.folder))
            said = parse(text)
            self.kept.learn(commit, said)
        errors: tuple[FirstError, ...] = ()
        if done.status:
            tail = "\n".join(text.splitlines()[-10:])
            unknown = FirstError(f"it ended with status {done.status}", "", tail)
            errors = all_errors(without_checker(text)) or (unknown,)
        return Compiled(said, errors, time.monotonic() - started, log.stat().st_size >= LOG_LIMIT)

    def _since_last(self, commit: str) -> tuple[Change, ...] | None:
        """What differs from what was built last; None: anything may."""
        if not self.kept.commit:
            return None
        try:
            return changes(self.repository, self.kept.commit, commit)
        except CommandFailed:  # the repository has forgotten that commit
            return None


class KernelPlace(Workplace):
    """W=1 and sparse, with the configuration of the kernel that is tested."""

    def __init__(self, store: Store, component: str, repository: Path, root: Artifact) -> None:
        self.fragments = fragment_text(load_fragments())
        config = hashlib.sha256(self.fragments.encode()).hexdigest()
        super().__init__(store, component, repository, root, {"config": config})
        self.built_before = store.scratch(f"obj/kernel-{root.key[:12]}")
        self.sparse = (self.box.root / "usr/bin/sparse").exists()
        if not self.sparse:
            self.tools, self.note = ("gcc", "kernel-doc"), "without sparse: the build root does not have it"

    def plan(self, patches: Mapping[str, tuple[Change, ...]]) -> dict[str, Affected]:
        everything = [change for changed in patches.values() for change in changed]
        known = learn([self.built_before, self.kept.folder], {change.path for change in everything})
        fresh = {c.path.rpartition("/")[0] for c in everything
                 if c.status == "A" and basename(c.path) in ("Makefile", "Kbuild")}  # fmt: skip
        ignored = load_unaffecting().patterns("kernel")
        first = folders_of(everything)
        return {commit: affected(changed, known, first, ignored, fresh) for commit, changed in patches.items()}

    def build(self, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        since = self._since_last(commit)
        checkout(self.repository, commit, self.source)
        configure = since is None or any(basename(change.path).startswith("Kconfig") for change in since)
        env = {"CONFIGURE": "yes" if configure else "no", "SPARSE": "yes" if self.sparse else "no"}
        wanted = [target for target in targets if self._is_there(target)]
        compiled = self._run(commit, wanted, env, log, timeout, stdin=self.fragments)
        # kbuild alone knows which directories belong to the configuration.
        missing = set(_NO_RULE.findall(log.read_text(errors="replace"))) & set(wanted) if compiled.errors else set()
        if missing and (rest := [target for target in wanted if target not in missing]) != wanted:
            again = self._run(commit, rest, env, log, timeout, stdin=self.fragments)
            seconds = compiled.seconds + again.seconds
            compiled = Compiled({**compiled.said, **again.said}, again.errors, seconds, again.cut)
        return compiled

    def _is_there(self, target: str) -> bool:
        path = self.source / target
        if target.endswith("/"):
            return any((path / name).exists() for name in ("Makefile", "Kbuild"))
        return any(path.with_suffix(suffix).exists() for suffix in (".c", ".S"))

    def judge(self, targets: Sequence[str]) -> str:
        said = [said for name, said in self.kept.warnings.items() if name.startswith(tuple(targets))]
        missing = {}
        if not any((self.source / name).is_file() for name in KERNEL_DOC):
            missing["kernel-doc"] = "the tree has it at none of the places that are known"
        if chokes(said):
            missing["sparse"] = "that of the build root cannot read this tree"
        told = "; ".join(f"without {tool}: {why}" for tool, why in missing.items() if tool in self.tools)
        self.tools = tuple(tool for tool in self.tools if tool not in missing)
        self.note = "; ".join(filter(None, (self.note, told)))
        return told


class UserPlace(Workplace):
    """libfuse and e2fsprogs: built as a whole, against the stack's libfuse at head where it is needed."""

    def __init__(
        self, store: Store, component: str, repository: Path, root: Artifact, needs: Mapping[str, Artifact]
    ) -> None:
        more = {f"needs {name}": artifact.key for name, artifact in needs.items()}
        super().__init__(store, component, repository, root, more)
        self.stack: dict[str, Bind] = {}
        for artifact in needs.values():
            self.stack["/stack"] = Bind(Path(artifact.path) / "root" / "stack")

    def plan(self, patches: Mapping[str, tuple[Change, ...]]) -> dict[str, Affected]:
        ignored = load_unaffecting().patterns(self.component)
        return {commit: affects_anything(changed, ignored) for commit, changed in patches.items()}

    def build(self, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        since = self._since_last(commit)
        checkout(self.repository, commit, self.source)
        configure = since is None or affects_anything(since, ()).configure
        headers = sorted({f"/{basename(change.path)}" for change in since or () if change.path.endswith(".h")})
        env = {"CONFIGURE": "yes" if configure else "no"}
        return self._run(commit, headers, env, log, timeout, self.stack)
