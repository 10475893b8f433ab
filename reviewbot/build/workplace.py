# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the patches of a component are built one after the other: above the objects of its unpatched base."""

import hashlib
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import basename
from typing import Any, Self

from reviewbot.build.affected import (
    Affected,
    Change,
    affected,
    affects_anything,
    changes,
    folders_of,
    learn,
    load_unaffecting,
)
from reviewbot.build.contents import kbuild_records
from reviewbot.build.errors import FirstError, all_errors
from reviewbot.build.kconfig import fragment_text, load_fragments
from reviewbot.build.kernel import Order
from reviewbot.build.layers import Layers, throwaway
from reviewbot.build.warnings import KERNEL_DOC, TOOLS, Warnings, chokes, parse, without_checker
from reviewbot.host.checkout import Checkout
from reviewbot.host.files import sha256_file
from reviewbot.host.git import git
from reviewbot.host.process import CommandFailed, no_room
from reviewbot.host.sandbox import Bind
from reviewbot.model.artifacts import Artifact
from reviewbot.model.errors import DiskFull
from reviewbot.model.review import BuildWarning
from reviewbot.model.trees import Tree
from reviewbot.model.variants import PLAIN

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


@dataclass(slots=True)
class _State:
    """An object folder, and what is known of it."""

    obj: Bind
    commit: str = ""
    """What was built last; empty: nothing."""
    warnings: dict[str, tuple[BuildWarning, ...]] = field(default_factory=dict)
    """Of each object: a build tool does not tell a warning again of what it need not compile."""


class Workplace(ABC):
    """Builds commits of one component. A context: what it needs is laid out when it is first used.

    Begins with the objects of base, which are kept as a layer and read-only here. What a posting's commits make of them
    goes to a throw-away folder.
    """

    def __init__(self, layers: Layers, recipe: str, tree: Tree, more: Mapping[str, str]) -> None:
        self.layers, self.recipe, self.tree = layers, recipe, tree
        self.repository = Path(tree.repository)
        self.script = _RECIPES / f"{recipe}-review.sh"
        self.inputs = {"buildroot": layers.root.key, "recipe": sha256_file(self.script), "version": VERSION, **more}
        """All that decides about a build but the tree itself."""
        self.tools: tuple[str, ...] = TOOLS
        """Whose warnings count."""
        self.note = ""
        """What could not be checked, and why."""
        self.layered = True
        """False: nothing is kept and nothing that was kept is used; it begins in an empty folder."""
        self._stack = ExitStack()
        self._work: Path | None = None
        self._at = tree.base_commit
        self._state: _State | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @abstractmethod
    def plan(self, patches: Mapping[str, tuple[Change, ...]]) -> dict[str, Affected]:
        """Commit -> what to build for it."""

    @abstractmethod
    def _compile(self, state: _State, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        """The source is there at this commit. Raises CommandTimeout, InfraError."""

    def judge(self, targets: Sequence[str]) -> str:
        """Called once the state before the patches is built. Returns what turned out not to work, or nothing."""
        return ""

    @property
    def warnings(self) -> Warnings:
        """Of all objects as they are now."""
        return self._state.warnings if self._state else {}

    def prepare(self, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        """Objects of a commit: base, or one that was built in an earlier run. At least those of the targets.

        Raises CommandTimeout, InfraError.
        """
        if self._state is None:
            missing = self._begin(targets, log, timeout) if self.layered else True
            if self._state is None:
                self._state = _State(self._empty())
            if commit == self._state.commit and not missing:
                return Compiled()
        return self.build(commit, targets, log, timeout)

    def build(self, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        """Raises CommandTimeout, InfraError."""
        assert self._state is not None, "prepared"
        return self._compiled(self._state, commit, targets, log, timeout)

    def from_nothing(self, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        """Build it in an empty folder, beside all that was built before. Raises CommandTimeout, InfraError."""
        return self._compiled(_State(self._empty()), commit, targets, log, timeout)

    def forget(self) -> None:
        """Objects of unknown state: begin with those of base again."""
        self._state = None

    def distrust(self) -> None:
        """What is kept of base is of no use: go on in an empty folder, and let the next run make it again."""
        self.layered = False
        self._state = None
        self.layers.drop(self._layer, self._layer_inputs)

    @property
    def _layer(self) -> str:
        return f"{self.recipe}-review"

    @property
    def _layer_inputs(self) -> dict[str, str]:
        return {**self.inputs, "base": self.tree.base_tree}

    def _begin(self, targets: Sequence[str], log: Path, timeout: float) -> bool:
        """Begin with the objects of base, of which more are built if some are missing.

        Returns whether some are missing all the same: another run uses the layer, or they do not compile.
        """
        base, wanted = self.tree.base_commit, frozenset(targets)

        def make(obj: Path, _: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
            state = _State(Bind(obj, writable=True), base if facts else "", _warnings(facts))
            built = frozenset(facts.get("targets", ())) | wanted
            compiled = self._compiled(state, base, sorted(built if facts.get("errors") else wanted), log, timeout)
            said = {name: [warning.model_dump() for warning in found] for name, found in state.warnings.items()}
            return {"warnings": said, "targets": sorted(built), "errors": bool(compiled.errors)}

        def lacks(facts: Mapping[str, Any]) -> bool:
            return not wanted <= frozenset(facts["targets"])

        self.layers.extend(self.recipe, self._layer, self._layer_inputs, make, lacks)
        objects = self.layers.objects(self.recipe, self._layer, self._layer_inputs, lambda obj, out: make(obj, out, {}))
        kept = self._stack.enter_context(objects)
        obj = Bind(self._folder(), writable=True, lower=(kept.folder,))
        self._state = _State(obj, base, _warnings(kept.facts))
        self._go(base)  # what differs from base is laid out from now on, and newer than these objects
        return lacks(kept.facts) or bool(kept.facts["errors"])

    def _compiled(self, state: _State, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        self._go(commit)
        return self._compile(state, commit, targets, log, timeout)

    def _go(self, commit: str) -> None:
        self.source.advance(self._at, commit)
        self._at = commit

    @property
    def source(self) -> Checkout:
        """The checkout that all builds of this place see, one after the other."""
        if self._work is None:
            self._work = self._stack.enter_context(throwaway(self.layers.store.root))
            self._source = self._stack.enter_context(self.layers.source(self.tree, self._at))
        return self._source

    def _folder(self) -> Path:
        """A new one, in which a box may write."""
        assert self.source and self._work
        folder = self._work / f"{sum(1 for _ in self._work.iterdir())}"
        folder.mkdir()
        return folder

    def _empty(self) -> Bind:
        return Bind(self._folder(), writable=True)

    def _run(
        self,
        state: _State,
        commit: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        timeout: float,
        binds: Mapping[str, Bind] | None = None,
        stdin: str = "",
    ) -> Compiled:
        started = time.monotonic()
        log.unlink(missing_ok=True)
        done = self.layers.sandbox.run(
            ["bash", "-eu", "-o", "pipefail", f"/recipe/{self.script.name}", *arguments],
            binds={"/src": self.source.bind, "/obj": state.obj, "/recipe": Bind(self.script.parent), **(binds or {})},
            env=env, log=log, timeout=timeout, check=False, log_limit=LOG_LIMIT,
            stdin=stdin.encode(),
        )  # fmt: skip
        text = log.read_text(errors="replace") if log.exists() else ""
        if done.status and text.startswith("bwrap: "):
            raise CommandFailed(done.argv, done.status, text, log=log)
        if done.status and no_room(state.obj.path, said=text):
            raise DiskFull(str(state.obj.path))
        said = parse(text)
        state.commit = commit
        state.warnings.update(said)
        errors: tuple[FirstError, ...] = ()
        if done.status:
            tail = "\n".join(text.splitlines()[-10:])
            unknown = FirstError(f"it ended with status {done.status}", "", tail)
            errors = all_errors(without_checker(text)) or (unknown,)
        return Compiled(said, errors, time.monotonic() - started, len(text.encode()) >= LOG_LIMIT)

    def _there(self, commit: str, *names: str) -> frozenset[str]:
        """Those that the tree of a commit has."""
        said = git(self.repository, "ls-tree", "-z", "--name-only", commit, "--", *names).output if names else ""
        return frozenset(said.split("\0")) - {""}

    def _since_last(self, state: _State, commit: str) -> tuple[Change, ...] | None:
        """What differs from what was built last; None: anything may."""
        return changes(self.repository, state.commit, commit) if state.commit else None


def _warnings(facts: Mapping[str, Any]) -> dict[str, tuple[BuildWarning, ...]]:
    return {
        name: tuple(BuildWarning.model_validate(warning) for warning in said)
        for name, said in facts.get("warnings", {}).items()
    }


def _sources(target: str) -> tuple[str, ...]:
    """What kbuild makes a directory or an object of."""
    if target.endswith("/"):
        return f"{target}Makefile", f"{target}Kbuild"
    return target.removesuffix(".o") + ".c", target.removesuffix(".o") + ".S"


class KernelPlace(Workplace):
    """W=1 and sparse, with the configuration of the kernel that is tested."""

    def __init__(self, layers: Layers, recipe: str, tree: Tree) -> None:
        self.fragments = fragment_text(load_fragments())
        config = hashlib.sha256(self.fragments.encode()).hexdigest()
        super().__init__(layers, recipe, tree, {"config": config})
        self.sparse = (self.layers.sandbox.root / "usr/bin/sparse").exists()
        if not self.sparse:
            self.tools, self.note = ("gcc", "kernel-doc"), "without sparse: it is not in the build root"

    def plan(self, patches: Mapping[str, tuple[Change, ...]]) -> dict[str, Affected]:
        everything = [change for changed in patches.values() for change in changed]
        order = Order(self.layers, self.tree, PLAIN, Path(os.devnull))
        with order.known_base() as base, throwaway(self.layers.store.root) as work:
            records = kbuild_records(self.layers.sandbox, base.folder, work) if base else ()
            known = learn(records, {change.path for change in everything})
        fresh = {
            c.path.rpartition("/")[0]
            for c in everything
            if c.status == "A" and basename(c.path) in ("Makefile", "Kbuild")
        }
        ignored = load_unaffecting().patterns("kernel")
        first = folders_of(everything)
        return {commit: affected(changed, known, first, ignored, fresh) for commit, changed in patches.items()}

    def _compile(self, state: _State, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        since = self._since_last(state, commit)
        configure = since is None or any(basename(change.path).startswith("Kconfig") for change in since)
        env = {"CONFIGURE": "yes" if configure else "no", "SPARSE": "yes" if self.sparse else "no"}
        sources = {target: _sources(target) for target in targets}
        there = self._there(commit, *(name for names in sources.values() for name in names))
        wanted = [target for target, names in sources.items() if not there.isdisjoint(names)]
        compiled = self._run(state, commit, wanted, env, log, timeout, stdin=self.fragments)
        # kbuild alone knows which directories belong to the configuration.
        missing = set(_NO_RULE.findall(log.read_text(errors="replace"))) & set(wanted) if compiled.errors else set()
        if missing and (rest := [target for target in wanted if target not in missing]) != wanted:
            again = self._run(state, commit, rest, env, log, timeout, stdin=self.fragments)
            seconds = compiled.seconds + again.seconds
            compiled = Compiled({**compiled.said, **again.said}, again.errors, seconds, again.cut)
        return compiled

    def judge(self, targets: Sequence[str]) -> str:
        said = [said for name, said in self.warnings.items() if name.startswith(tuple(targets))]
        missing = {}
        if not self._there(self._at, *KERNEL_DOC):
            missing["kernel-doc"] = "it is at none of the known paths in the tree"
        if chokes(said):
            missing["sparse"] = "the version in the build root cannot read this tree"
        told = "; ".join(f"without {tool}: {why}" for tool, why in missing.items() if tool in self.tools)
        self.tools = tuple(tool for tool in self.tools if tool not in missing)
        self.note = "; ".join(filter(None, (self.note, told)))
        return told


class UserPlace(Workplace):
    """libfuse and e2fsprogs: built as a whole, against the stack's libfuse at head where it is needed."""

    def __init__(
        self, layers: Layers, recipe: str, tree: Tree, needs: Mapping[str, Artifact], *, layered: bool
    ) -> None:
        more = {f"needs {name}": artifact.key for name, artifact in needs.items()}
        super().__init__(layers, recipe, tree, more)
        self.layered = layered
        self.stack: dict[str, Bind] = {}
        for artifact in needs.values():
            self.stack["/stack"] = Bind(Path(artifact.path) / "root" / "stack")

    def plan(self, patches: Mapping[str, tuple[Change, ...]]) -> dict[str, Affected]:
        ignored = load_unaffecting().patterns(self.recipe)
        return {commit: affects_anything(changed, ignored) for commit, changed in patches.items()}

    def _compile(self, state: _State, commit: str, targets: Sequence[str], log: Path, timeout: float) -> Compiled:
        since = self._since_last(state, commit)
        configure = since is None or affects_anything(since, ()).configure
        headers = sorted({f"/{basename(change.path)}" for change in since or () if change.path.endswith(".h")})
        env = {"CONFIGURE": "yes" if configure else "no"}
        return self._run(state, commit, headers, env, log, timeout, self.stack)
