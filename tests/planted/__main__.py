# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.planted [NAME…]`: run the whole corpus, or some of it, and count what was found and accused."""

import argparse
import tempfile
from pathlib import Path

from tests.planted import corpus


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="postings; all when none is named")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the runs are left")
    parser.add_argument("--count", action="store_true", help="run nothing, count what the runs in DIR said")
    arguments = parser.parse_args()
    look = corpus.judged if arguments.count else corpus.run
    with tempfile.TemporaryDirectory(prefix="reviewbot-planted-") as name:
        folder = arguments.keep or Path(name)
        found = [_said(look(posting, folder / posting)) for posting in arguments.names or corpus.names()]
    defects = [one for one in found if one.planted.kind == "defect"]
    harmless = [one for one in found if one.planted.kind == "harmless"]
    print(
        f"found {sum(one.alarm for one in defects)}/{len(defects)}, "
        f"repository {sum(one.right_component for one in defects)}/{len(defects)}, "
        f"patch {sum(one.right_patch for one in defects)}/{len(defects)}, "
        f"false alarms {sum(one.alarm for one in harmless)}/{len(harmless)}"
    )
    return 0 if all(one.right for one in found) else 1


def _said(one: corpus.Judged) -> corpus.Judged:
    suspects = "; ".join(" | ".join(patches) for patches in one.patches)
    right = "" if one.right else "  <- WRONG"
    print(f"{one.name}: {one.verdict} {'+'.join(one.components)} {suspects} ({one.seconds:.0f} s){right}", flush=True)
    return one


if __name__ == "__main__":
    raise SystemExit(main())
