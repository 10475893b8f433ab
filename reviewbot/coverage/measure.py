# SPDX-License-Identifier: GPL-2.0-or-later
"""The coverage of a run: per component what was touched, per leg what ran of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.coverage.counters import count, notes_folder, objects, sets_of_counters
from reviewbot.coverage.counts import Counts, FileCounts, merged
from reviewbot.coverage.patched import own_patches, patched_lines, touched
from reviewbot.coverage.tracefile import tracefile
from reviewbot.host.files import read_regular
from reviewbot.host.sandbox import Sandbox
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.coverage import Coverage, FileCoverage, PatchedLines
from reviewbot.model.trees import Tree, Trees

_MOST_NOTES = 20
"""Of one machine: a guest can write as many as it likes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Both files of a run."""

    coverage: Coverage
    tracefile: str
    """lcov's; one test (`TN`) per leg that has counters."""


def measure(
    run: str,
    tool: str,
    trees: Trees,
    artifacts: Artifacts,
    legs: Mapping[str, Path],
    names: Mapping[str, str],
    logs: Path,
    notes: Sequence[str] = (),
) -> Measured:
    """What the legs reached of the files that the posting touches.

    artifacts: with the build root that compiled them. legs: name -> its log folder. names: commit -> what a report
    calls the patch. logs: folder for gcov's own words. notes: what is known to be missing. Raises CommandTimeout,
    ToolMissing, DiskFull.
    """
    box = Sandbox(Path(artifacts.artifacts["buildroot"].path) / "root")
    sets = {leg: sets_of_counters(folder) for leg, folder in legs.items()}
    notes = [*notes, *(f"{leg}: no counters came back" for leg, found in sets.items() if not found)]
    notes += [f"{leg}: {words}" for leg, found in sets.items() for folder in found for words in _words(folder)]
    coverage = Coverage(run=run, tool=tool)
    traced: dict[str, dict[str, Counts]] = {leg: {} for leg, found in sets.items() if found}
    for tree in trees.trees:
        files = touched(tree)
        artifact = artifacts.artifacts.get(tree.component)
        folder = notes_folder(artifact) if artifact else None
        known = objects(folder, files) if folder and files else ()
        if files and not folder:
            notes.append(f"{tree.component} is not built with counters")
        log = logs / f"{tree.component}.log"
        nothing = count(box, known, files, log) if known else {}
        by_leg = {
            leg: merged([nothing, *(count(box, known, files, log, counters) for counters in found)] if known else [])
            for leg, found in sets.items()
            if found
        }
        for leg, counts in by_leg.items():
            traced[leg][tree.component] = counts
        coverage = _joined(coverage, tree, files, nothing, by_leg, names)
    return Measured(coverage.model_copy(update={"notes": tuple(dict.fromkeys(notes))}), tracefile(traced))


def _words(folder: Path) -> list[str]:
    """What the guest says is missing."""
    path = folder / "notes"
    lines = read_regular(path, 1 << 16).splitlines() if path.is_file() and not path.is_symlink() else []
    return [line[:300] for line in lines[:_MOST_NOTES] if line.strip()]


def _joined(
    coverage: Coverage,
    tree: Tree,
    files: tuple[str, ...],
    nothing: Counts,
    by_leg: Mapping[str, Counts],
    names: Mapping[str, str],
) -> Coverage:
    total = merged([nothing, *by_leg.values()])
    patches = tuple(one for file in files if file in total for one in _patched(tree, file, total[file], by_leg, names))
    counted = tuple(
        FileCoverage(component=tree.component, file=file, executable=len(counts.lines), reached=len(counts.reached))
        for file, counts in total.items()
    )
    missing = tuple(file for file in files if file not in total)
    unmeasured = {**coverage.unmeasured, **({tree.component: missing} if missing else {})}
    return coverage.model_copy(
        update={
            "patches": coverage.patches + patches,
            "files": coverage.files + counted,
            "unmeasured": unmeasured,
        }
    )


def _patched(
    tree: Tree, file: str, total: FileCounts, by_leg: Mapping[str, Counts], names: Mapping[str, str]
) -> list[PatchedLines]:
    wrote = patched_lines(tree, file)
    found = []
    for patch in own_patches(tree):
        executable = wrote.get(patch.commit, frozenset()) & total.lines.keys()
        if not executable:
            continue
        reached = {leg: counts[file].reached & executable for leg, counts in by_leg.items() if file in counts}
        found.append(
            PatchedLines(
                component=tree.component,
                file=file,
                patch=names.get(patch.commit, ""),
                message_id=patch.message_id,
                commit=patch.commit,
                executable=tuple(sorted(executable)),
                not_reached=tuple(sorted(executable - total.reached)),
                legs={leg: tuple(sorted(lines)) for leg, lines in reached.items()},
            )
        )
    return found
