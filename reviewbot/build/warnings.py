# SPDX-License-Identifier: GPL-2.0-or-later
"""Warnings in build logs, per object, and which of them a patch brought. Nothing but text in and values out."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from reviewbot.model.review import BuildWarning

Warnings = Mapping[str, tuple[BuildWarning, ...]]
"""Object -> its warnings, in the order of the log."""

TOOLS = ("gcc", "sparse", "kernel-doc")
KERNEL_DOC = ("tools/docs/kernel-doc", "scripts/kernel-doc", "scripts/kernel-doc.py")
"""Where kernels have had that script; `recipes/kernel-review.sh` looks at the same places."""
CHECKER = "sparse: "
"""What stands before each line of sparse in a log."""
_TOLD = 100
"""New warnings of a patch that are kept."""
_MOST = 500
"""Warnings that are kept of one object: a tree can print as many as it likes."""
_LONGEST = 300

_SOURCE = re.compile(r"^(?:(?:\.\./)+src/|/src/|(?:\.\./)+|\./)")
_SAID = re.compile(
    r"^(?P<file>[^\s:]{1,300}):(?P<line>\d{1,7}):(?:(?P<column>\d{1,7}):)? (?P<kind>warning|error): (?P<text>\S.*)$"
)
# kernel-doc since Linux 6.16, which is Python: no colon behind the line.
_DOC = re.compile(
    r"^(?P<kind>warning|error): (?P<file>[^\s:]{1,300}):(?P<line>\d{1,7}):? (?P<text>\S.*)$", re.IGNORECASE
)
_MORE = re.compile(r"^(?P<file>[^\s:]{1,300}):(?P<line>\d{1,7}):\d{1,7}: {4}(?P<text>\S.*)$")
_STEPS = (
    re.compile(r"^  (?:CC|AS)(?: \[M\])? +(?P<object>[^\s/]\S*\.o)$"),  # kbuild; its tools have absolute names
    re.compile(r"^\[\d+/\d+\] Compiling C(?:\+\+)? object (?P<object>\S+\.o)$"),  # ninja
    re.compile(r"^\tCC (?:/src/)?(?P<object>\S+)\.[cS]$"),  # e2fsprogs
)
_OTHER_STEP = re.compile(
    r"^(?:  (?!CHECK )[A-Z][A-Z0-9_]+(?: \[M\])? +\S|\[\d+/\d+\] |\t[A-Z][A-Z_]+ |make(?:\[\d+\])?: )"
)
_VERSION = re.compile(r"\.so(?:\.\d+)+")
# What changes in a warning when only lines move, or when a number that the compiler counted itself does.
_MOVES = re.compile(r":\d+(?::\d+)?|(?<=__UNIQUE_ID_)\w+|(?<=frame size of )\d+|(?<=\bline )\d+")


def parse(log: str) -> dict[str, tuple[BuildWarning, ...]]:
    """The objects that were compiled and what was said of each; an object without warnings is there, too.

    The log must hold the output of one object after the other: `make --output-sync`, ninja.
    """
    found: dict[str, list[BuildWarning]] = {}
    current: list[BuildWarning] | None = None
    for line in log.splitlines():
        if name := _object(line):
            current = found.setdefault(name, [])
        elif _OTHER_STEP.match(line):
            current = None
        elif current is not None and len(current) < _MOST:
            _take(line, current)
    return {name: tuple(warnings) for name, warnings in found.items()}


def without_checker(log: str) -> str:
    """The log without the words of sparse, whose errors are none of the build."""
    return "\n".join(line for line in log.splitlines() if not line.startswith(CHECKER))


def _object(line: str) -> str:
    for step in _STEPS:
        if match := step.match(line):
            name = _VERSION.sub(".so", match["object"])
            return name if name.endswith(".o") else f"{name}.o"
    return ""


def _take(line: str, warnings: list[BuildWarning]) -> None:
    checker = line.startswith(CHECKER)
    line = line.removeprefix(CHECKER)
    if checker and warnings and (match := _MORE.match(line)):
        last = warnings[-1]
        if last.tool == "sparse" and last.line == int(match["line"]):
            text = f"{last.message}; {match['text']}"[:_LONGEST]
            warnings[-1] = last.model_copy(update={"message": text})
        return
    match = _SAID.match(line)
    if match is None and not checker and (match := _DOC.match(line)):
        warnings.append(
            BuildWarning(
                tool="kernel-doc",
                file=_SOURCE.sub("", match["file"]),
                line=int(match["line"]),
                message=match["text"].strip()[:_LONGEST],
            )
        )
        return
    if match is None or (match["kind"] == "error" and not checker):
        return
    text = match["text"] if match["kind"] == "warning" else f"error: {match['text']}"
    warnings.append(
        BuildWarning(
            tool="sparse" if checker else "gcc" if match["column"] else "kernel-doc",
            file=_SOURCE.sub("", match["file"]),
            line=int(match["line"]),
            message=text.strip()[:_LONGEST],
        )
    )


def new_warnings(before: Warnings, after: Warnings, *, tools: Collection[str] = TOOLS) -> tuple[BuildWarning, ...]:
    """Warnings of `after` that `before` has not, object by object: counted per tool, file and text without numbers.

    A warning that only moved to another line is not new. One in a header is told once, however many objects
    include it.
    """
    found: set[BuildWarning] = set()
    for name, warnings in after.items():
        had = Counter(_essence(w) for w in before.get(name, ()))
        have: dict[tuple[str, str, str], list[BuildWarning]] = defaultdict(list)
        for warning in (w for w in warnings if w.tool in tools):
            have[_essence(warning)].append(warning)
        for essence, same in have.items():
            # Nothing tells which one of several equal warnings is new; the last one stands for it.
            found.update(same[had[essence] :])
    return tuple(sorted(found, key=lambda w: (w.file, w.line, w.tool, w.message)))[:_TOLD]


def _essence(warning: BuildWarning) -> tuple[str, str, str]:
    return warning.tool, warning.file, _MOVES.sub("", warning.message)


def chokes(warnings: Iterable[Sequence[BuildWarning]]) -> bool:
    """Whether sparse cannot read this tree: it gave up on at least half of the objects."""
    judged = [any(w.tool == "sparse" and w.message.startswith("error: ") for w in said) for said in warnings]
    return bool(judged) and 2 * sum(judged) >= len(judged)
