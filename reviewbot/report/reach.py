# SPDX-License-Identifier: GPL-2.0-or-later
"""Coverage as a few lines, the same for Markdown and mail."""

from reviewbot.model.coverage import Coverage


def unreached(coverage: Coverage, limit: int) -> tuple[list[str], int]:
    """Patched lines that nothing ran, at most `limit` entries, most lines first; and how many entries are left."""
    missed = [one for one in coverage.patches if one.not_reached]
    found = [one.words() for one in sorted(missed, key=lambda one: -len(one.not_reached))]
    return found[:limit], max(0, len(found) - limit)


def missing(coverage: Coverage) -> list[str]:
    """What the counts do not hold, one line each."""
    words = coverage.unmeasured_words()
    return [*([words] if words else []), *coverage.notes]


def by_file(coverage: Coverage) -> list[tuple[str, str, str, str, str]]:
    """Per patch and file: patch, file, executable lines, reached, which ones were not."""
    return [
        (
            one.patch or one.commit[:12],
            one.file,
            str(len(one.executable)),
            str(len(one.executable) - len(one.not_reached)),
            one.where(),
        )
        for one in coverage.patches
    ]
