# SPDX-License-Identifier: GPL-2.0-or-later
"""Write `reviewbot/suites/names.yaml` anew from a folder of fstests: `python tools/fstests_names.py TREE`."""

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from reviewbot.suites.names import NAMES, groups_of_folder

_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# Tests and groups of fstests, so that a wrong name is refused before anything is fetched. Tests that a newer tree or a
# posting adds are not here: see `names.py`. `python tools/fstests_names.py TREE` writes this file.
"""


def main(tree: Path) -> None:
    """Raises SystemExit when the folder is none of fstests."""
    found = groups_of_folder(tree)
    if not found:
        sys.exit(f"{tree} is no folder of fstests")
    numbers: dict[str, list[int]] = {}
    for test in found:
        folder, _, number = test.partition("/")
        numbers.setdefault(folder, []).append(int(number[:3]))
    lines = ["tests:"]
    for folder, its in sorted(numbers.items()):
        lines += [f"  {folder}: >-", *_wrapped(_ranges(its), "    ")]
    groups = {group for its in found.values() for group in its}
    lines += ["groups: >-", *_wrapped(sorted(groups), "  ")]
    NAMES.write_text(_HEAD + "\n".join(lines) + "\n")


def _ranges(numbers: Iterable[int]) -> list[str]:
    """`001-342`, `271`."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [f"{first:03}" if first == last else f"{first:03}-{last:03}" for first, last in found]


def _wrapped(words: Iterable[str], indent: str) -> list[str]:
    return textwrap.wrap(" ".join(words), 118, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
