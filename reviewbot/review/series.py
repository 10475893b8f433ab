# SPDX-License-Identifier: GPL-2.0-or-later
"""The review of a posting: each patch by itself, then what only the series as a whole can show."""

import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.config import Reviewer
from reviewbot.host.cancel import carried
from reviewbot.host.git import git
from reviewbot.host.process import CommandFailed, CommandTimeout, ToolMissing
from reviewbot.host.sandbox import Sandbox
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.review import PatchBuild, PatchReview, Review, ReviewFinding
from reviewbot.model.trees import Tree, Trees
from reviewbot.model.words import counted, patch_name
from reviewbot.review import checkpatch, copies, fixes, message, numbers, probe, whitespace
from reviewbot.review.blobs import changed, lay_out
from reviewbot.review.commits import Item, patches_under_review
from reviewbot.review.findings import of_build, tidy
from reviewbot.review.reviewers import Panel
from reviewbot.review.text import one_line

_THREADS = 2
_FILES = 2000
"""Most files of head that reviewers see."""
_NO_ROOT = "it runs in the build root, which is missing"


def review(
    posting: Posting,
    mails: Mapping[str, bytes],
    trees: Trees,
    builds: Mapping[str, PatchBuild],
    *,
    root: Path | None,
    reviewers: Sequence[Reviewer],
    scratch: Path,
    logs: Path,
    run: str,
    tool: str,
    progress: Progress = silent,
) -> Review:
    """Findings about all patches and the series.

    mails: by Message-ID. builds: what each patch's build said, by commit. root: folder of the Debian build root; None:
    what needs it is in `skipped`. scratch, logs: folders to work in and to leave logs in. run, tool: id of the run and
    our own version, for the record. Raises ConfigError for a data file, InfraError if git fails.
    """
    started = time.monotonic()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="review-") as name:
        work = _Work.prepare(posting, mails, trees, builds, root, Path(name), logs, reviewers)
        reviews = work.all_patches(progress)
        progress(Event("review", "series", "start"))
        findings = tidy(work.series(posting))
        progress(Event("review", "series", "done", counted(len(findings), "finding")))
    return Review(
        run=run,
        tool=tool,
        patches=reviews,
        findings=findings,
        skipped=work.skipped(),
        seconds=round(time.monotonic() - started, 3),
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    """All data files, read once."""

    checkpatch: checkpatch.Rules
    message: message.Rules
    excludes: tuple[whitespace.Exclude, ...]
    copies: copies.Rules


@dataclass(slots=True)
class _Work:
    """What the checks of one review share."""

    mails: Mapping[str, bytes]
    trees: Trees
    builds: Mapping[str, PatchBuild]
    sandbox: Sandbox | None
    scratch: Path
    logs: Path
    reviewers: Sequence[Reviewer]
    rules: _Rules
    items: tuple[Item, ...]
    scripts: dict[str, checkpatch.Script | None] = field(default_factory=dict)
    histories: dict[str, fixes.History] = field(default_factory=dict)
    panel: Panel | None = None
    why: dict[str, list[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def prepare(
        cls,
        posting: Posting,
        mails: Mapping[str, bytes],
        trees: Trees,
        builds: Mapping[str, PatchBuild],
        root: Path | None,
        scratch: Path,
        logs: Path,
        reviewers: Sequence[Reviewer],
    ) -> "_Work":
        rules = _Rules(checkpatch.load_rules(), message.load_rules(), whitespace.load_excludes(), copies.load_rules())
        items = tuple(item for tree in trees.trees for item in patches_under_review(posting, tree))
        sandbox = Sandbox(root) if root else None
        work = cls(mails, trees, builds, sandbox, scratch, logs, reviewers, rules, items)
        for tree in work.patched():
            work.histories[tree.component] = fixes.History(tree)
            if sandbox is not None:
                work.scripts[tree.component] = checkpatch.extract(
                    tree, rules.checkpatch, work.folder("checkpatch", tree)
                )
                if work.scripts[tree.component] is None:
                    work.skip("checkpatch", f"{tree.component} has none in its tree")
            if sandbox is not None and reviewers:
                modes = changed(Path(tree.repository), tree.base_commit, tree.head_commit)
                paths = [path for path, mode in sorted(modes.items()) if mode.startswith("100")]
                lay_out(Path(tree.repository), tree.head_commit, paths[:_FILES], work.folder("head", tree))
        if sandbox is None and items:
            for name in ("checkpatch", *(reviewer.name for reviewer in reviewers)):
                work.skip(name, _NO_ROOT)
        elif sandbox is not None and reviewers:
            work.panel = Panel(sandbox, scratch, logs / "reviewers")
        return work

    def patched(self) -> Iterable[Tree]:
        return {item.tree.component: item.tree for item in self.items}.values()

    def folder(self, kind: str, tree: Tree) -> Path:
        path = self.scratch / kind / tree.component
        path.mkdir(parents=True, exist_ok=True)
        return path

    def skip(self, tool: str, why: str) -> None:
        """Remember once why a tool said nothing of something."""
        with self.lock:
            reasons = self.why.setdefault(tool, [])
            if why not in reasons:
                reasons.append(why)

    def skipped(self) -> dict[str, str]:
        said = {tool: "; ".join(reasons[:3]) for tool, reasons in self.why.items()}
        return {**said, **(self.panel.skipped() if self.panel else {})}

    def all_patches(self, progress: Progress) -> tuple[PatchReview, ...]:
        """Two at a time, in the order of the trees."""
        done = 0

        def one(item: Item) -> PatchReview:
            nonlocal done
            result = self.patch(item)
            with self.lock:
                done += 1
                count = done
            progress(Event("review", "patches", "note", item.subject, done=count, total=len(self.items)))
            return result

        progress(Event("review", "patches", "start", total=len(self.items)))
        pool = ThreadPoolExecutor(_THREADS)
        try:
            reviews = tuple(pool.map(carried(one), self.items))
        finally:
            pool.shutdown(cancel_futures=True)
        progress(Event("review", "patches", "done", counted(len(reviews), "patch"), done=done, total=len(reviews)))
        return reviews

    def patch(self, item: Item) -> PatchReview:
        """All checks of one patch."""
        component, build = item.tree.component, self.builds.get(item.commit.id)
        found: list[ReviewFinding] = []
        if item.commit.parents < 2:  # a merge of a pulled branch has a message of another kind
            found += message.check_message(item.commit, item.sender, component, self.rules.message)
            found += fixes.check_fixes(item.commit, self.histories[component], component, self.rules.message)
        found += whitespace.check_whitespace(item, self.rules.excludes)
        found += self.checkpatch(item)
        found += of_build(build) if build else []
        mail = self.panel and (self.mails.get(item.message_id) or checkpatch.patch_text(item, self.scratch))
        for reviewer in self.reviewers:
            if self.panel and mail and reviewer.scope == "patch":
                found += self.panel.ask(reviewer, mail, self.folder("head", item.tree), component)
        return PatchReview(
            component=component,
            message_id=item.message_id,
            commit=item.commit.id,
            subject=one_line(item.subject),
            part=item.part,
            number=item.number,
            total=item.total,
            build=build,
            findings=tidy(found),
        )

    def checkpatch(self, item: Item) -> list[ReviewFinding]:
        script = self.scripts.get(item.tree.component)
        if script is None or self.sandbox is None:
            return []
        folder = self.folder("checkpatch", item.tree)
        try:
            found, problem = checkpatch.check_patch(
                item, script, folder, self.sandbox, self.rules.checkpatch, self.scratch
            )
        except (CommandTimeout, ToolMissing) as error:
            found, problem = [], str(error)
        if problem:
            self.skip("checkpatch", f"{item.tree.component} {item.number}/{item.total}: {problem}")
        return found

    def series(self, posting: Posting) -> list[ReviewFinding]:
        """Copies in step, numbers, and reviewers that want to see a whole part."""
        posted = [tree.component for tree in self.patched()]
        applied = {item.message_id for item in self.items}
        found: list[ReviewFinding] = []
        for check in (self.copies, self.numbers):
            try:
                found += check(posted)
            except CommandFailed as error:  # an object that a partial clone does not have
                self.skip("copies", str(error))
        for part in posting.parts:
            tree = self.trees.get(part.component)
            mail = self.mails.get(part.cover or (part.patches[0].message_id if part.patches else ""))
            here = bool(part.pull) or any(patch.message_id in applied for patch in part.patches)
            if self.panel is None or tree is None or mail is None or not here:
                continue
            for reviewer in self.reviewers:
                if reviewer.scope == "series":
                    found += self.panel.ask(reviewer, mail, self.folder("head", tree), part.component)
        return found

    def copies(self, posted: Sequence[str]) -> list[ReviewFinding]:
        return copies.check_copies(self.trees, posted, self.rules.copies, self.skip_copies, self.origin)

    def numbers(self, posted: Sequence[str]) -> list[ReviewFinding]:
        def measure(wanted: Mapping[numbers.Item, numbers.Files]) -> Mapping[numbers.Item, int]:
            return probe.measure(wanted, self.sandbox, self.scratch, self.logs / "probe.log")

        rules = self.rules.copies
        return numbers.check_numbers(self.trees, posted, rules, measure, self.skip_copies, self.origin)

    def origin(self, component: str, path: str, line: int) -> str:
        """Which patch brought a line, by git blame."""
        items = [item for item in self.items if item.tree.component == component]
        if not items:
            return ""
        tree = items[0].tree
        said = git(
            Path(tree.repository),
            "blame",
            "--porcelain",
            "--no-textconv",
            "-L",
            f"{line},{line}",
            f"{tree.base_commit}..{tree.head_commit}",
            "--",
            path,
            check=False,
        ).output
        whose = next((item for item in items if said.startswith(item.commit.id)), None)
        return patch_name(component, whose.part, whose.number, whose.total) if whose else ""

    def skip_copies(self, why: str) -> None:
        self.skip("copies", why)
