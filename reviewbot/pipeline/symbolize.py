# SPDX-License-Identifier: GPL-2.0-or-later
"""Results with crashes and hangs in, the same with file and line in their traces out. No verdict depends on it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from reviewbot import build
from reviewbot.crash.traces import NAMED, telling_lines
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.progress import Event, Progress
from reviewbot.model.results import Results, TestResult
from reviewbot.model.trees import Trees
from reviewbot.model.variants import Variant
from reviewbot.store import RunFolder, Store

Lines = Callable[[Sequence[str]], Mapping[str, str]]
"""From `function+0x26/0x60`, the most telling first, to `file:line`, where it is known. Raises ReviewbotError."""
_TRACE = 4096


def explained(
    results: Results,
    trees: Trees,
    artifacts: Artifacts,
    variant: Variant,
    store: Store,
    run: RunFolder,
    progress: Progress,
) -> Results:
    """The results of a run of these trees."""
    tree = trees.get("kernel")
    kernel, root = artifacts.artifacts.get("kernel"), artifacts.artifacts.get("buildroot")
    if tree is None or kernel is None or root is None:
        return results
    log = run.path / "logs" / "build" / "lines.log"

    def lines(frames: Sequence[str]) -> Mapping[str, str]:
        return build.source_lines(store, kernel, tree, root, frames, log, variant)

    return with_source_lines(results, lines, run.path, progress)


def with_source_lines(results: Results, lines: Lines, folder: Path, progress: Progress) -> Results:
    """Each crash gets its `trace`, and `trace.txt` beside its messages; the stacks of a hang are changed in place.
    Without crash and hang `lines` is not called.

    folder: of the run. What keeps us from finding the lines is a note of the leg.
    """
    tests = [test for leg in results.legs for test in leg.tests]
    splats = [test.dmesg for test in tests if test.crash] + [test.hang for test in tests if test.hang]
    frames = [frame for splat in splats for line in telling_lines(splat) for frame in NAMED.findall(line)]
    if not frames:
        return results
    progress(Event("lab", "lines", "start", "resolving source lines"))
    try:
        known = lines(frames)
    except ReviewbotError as error:
        progress(Event("lab", "lines", "failed", str(error)))
        note = f"traces without source lines: {error}"
        legs = [
            leg.model_copy(update={"notes": (*leg.notes, note)})
            if any(test.crash or test.hang for test in leg.tests)
            else leg
            for leg in results.legs
        ]
        return results.model_copy(update={"legs": tuple(legs)})
    progress(Event("lab", "lines", "done", f"{len(known)} of {len(set(frames))} functions"))
    if not known:
        return results
    legs = [
        leg.model_copy(update={"tests": tuple(_explained(test, known, folder) for test in leg.tests)})
        for leg in results.legs
    ]
    return results.model_copy(update={"legs": tuple(legs)})


def _explained(test: TestResult, known: Mapping[str, str], folder: Path) -> TestResult:
    if test.hang:
        stacks = "\n".join(located(line, known) for line in test.hang.split("\n"))
        test = test.model_copy(update={"hang": stacks[:_TRACE]})
    if not test.crash:
        return test
    messages = folder / test.log / "dmesg.txt"
    if test.log and messages.is_file():
        whole = messages.read_text(errors="replace").split("\n")
        messages.with_name("trace.txt").write_text("\n".join(located(line, known) for line in whole))
    trace = "\n".join(located(line, known) for line in telling_lines(test.dmesg))
    return test.model_copy(update={"trace": trace[:_TRACE]}) if trace != test.dmesg else test


def located(line: str, known: Mapping[str, str]) -> str:
    """`fuse_symlink+0x26/0x60` -> `fuse_symlink+0x26/0x60 (fs/fuse/dir.c:930)`, wherever in the line."""
    return NAMED.sub(lambda found: f"{found[0]} ({known[found[0]]})" if found[0] in known else found[0], line)
