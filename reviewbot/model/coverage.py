# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the patched lines a run reached."""

from reviewbot.model.base import Model
from reviewbot.model.words import counted


class PatchedLines(Model):
    """What one patch has in one file of head, and what was reached of it.

    Lines are numbers in head's file, ascending. Only lines that the compiler made code of are counted. A line belongs
    to the last patch that wrote it.
    """

    component: str
    file: str
    """Path in the component's tree."""
    patch: str
    """What reports call it: `kernel part 1/2 patch 3/7`."""
    message_id: str = ""
    """Empty when it came by git."""
    commit: str
    executable: tuple[int, ...]
    not_reached: tuple[int, ...] = ()
    """Those of `executable` that nothing ran, in no leg."""
    legs: dict[str, tuple[int, ...]] = {}
    """Leg -> those that ran there. Legs whose counters are lost are not in it."""

    def where(self) -> str:
        """`123-125,130`: lines that were not reached; empty when all were."""
        return ranges(self.not_reached)

    def words(self) -> str:
        """`fs/fuse/file.c:123-125,130 (kernel patch 3/7)`: where it was not reached."""
        return f"{self.file}:{self.where()} ({self.patch or self.commit[:12]})"


class FileCoverage(Model):
    """All of one file that the posting touches, patched or not."""

    component: str
    file: str
    executable: int
    """Lines with code."""
    reached: int


class Coverage(Model):
    """The patched lines of a run, all components."""

    schema_version: int = 1
    run: str
    tool: str
    patches: tuple[PatchedLines, ...] = ()
    """By component in the stack's order, then file, then patch."""
    files: tuple[FileCoverage, ...] = ()
    unmeasured: dict[str, tuple[str, ...]] = {}
    """Component -> touched source files of which no object counts: not configured, not built, or headers only."""
    notes: tuple[str, ...] = ()
    """What is missing from the counts, one line each."""

    @property
    def executable(self) -> int:
        return sum(len(patched.executable) for patched in self.patches)

    @property
    def missed(self) -> int:
        return sum(len(patched.not_reached) for patched in self.patches)

    def words(self) -> str:
        """`patched lines: 42 executable, 37 reached, 5 not reached`."""
        if not self.executable:
            return "patched lines: none that was compiled to code was measured"
        reached = self.executable - self.missed
        return f"patched lines: {self.executable} executable, {reached} reached, {self.missed} not reached"

    def unmeasured_words(self) -> str:
        """`2 touched files were not measured: kernel fs/fuse/a.c, …`; empty when all were."""
        names = [f"{component} {file}" for component, files in self.unmeasured.items() for file in files]
        more = ", …" if len(names) > 3 else ""
        return f"{counted(len(names), 'touched file')} without counters: {', '.join(names[:3])}{more}" if names else ""


def ranges(lines: tuple[int, ...]) -> str:
    """`123-125,130` of ascending numbers."""
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
