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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reviewbot-planted-") as name:
        folder = arguments.keep or Path(name)
        found = [_one(posting, folder / posting) for posting in arguments.names or corpus.names()]
    defects = [one for one in found if one.planted.kind == "defect"]
    harmless = [one for one in found if one.planted.kind == "harmless"]
    print(
        f"found {sum(one.alarm for one in defects)}/{len(defects)}, "
        f"repository {sum(one.right_component for one in defects)}/{len(defects)}, "
        f"patch {sum(one.right_patch for one in defects)}/{len(defects)}, "
        f"false alarms {sum(one.alarm for one in harmless)}/{len(harmless)}"
    )
    good = all(one.alarm and one.right_component for one in defects) and not any(one.alarm for one in harmless)
    return 0 if good else 1


def _one(name: str, folder: Path) -> corpus.Judged:
    one = corpus.run(name, folder)
    suspects = "; ".join(" | ".join(patches) for patches in one.patches)
    print(f"{name}: {one.verdict} {'+'.join(one.components)} {suspects} ({one.seconds:.0f} s)", flush=True)
    return one


if __name__ == "__main__":
    raise SystemExit(main())
