# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills a run with SIGKILL at random moments and repeats it: the same verdict, nothing lost and nothing twice.

`python -m tests.hostile.kills [--whole] [TIMES [SEED]]`, thirty times by default: a review of a small libfuse, or with
--whole a run with machines, which begins with what the demo left in the user's cache.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path

from reviewbot.host.paths import cache_dir
from tests.hostile.worlds import Left, SmallReview, WholeRun, World


def kills(world: World, times: int, seed: int) -> list[str]:
    """What was not as without a kill; one line each. Says what it does."""
    dice = random.Random(seed)
    began = time.monotonic()
    wanted = world.finish("undisturbed")
    seconds = time.monotonic() - began
    wrong = []
    for number in range(1, times + 1):
        name, moments = f"kill-{number}", [dice.uniform(0, seconds) for _ in range(dice.choice((1, 1, 2)))]
        world.again(number)
        for moment in moments:
            with world.begin(name) as process:
                time.sleep(moment)
                os.kill(process.pid, signal.SIGKILL)
        found = world.finish(name)
        words = "same" if found == wanted else f"DIFFERS: {differences(found, wanted)}"
        sys.stderr.write(f"{number}: killed after {', '.join(f'{m:.1f} s' for m in moments)}: {words}\n")
        if found != wanted:
            wrong.append(f"{number}, killed after {moments}: {differences(found, wanted)}")
        subprocess.run(["rm", "-rf", world.folder / name], check=True)
    return wrong


def differences(found: Left, wanted: Left) -> str:
    """Field by field."""
    rows = ((field.name, getattr(found, field.name), getattr(wanted, field.name)) for field in fields(Left))
    return "; ".join(f"{name}: {one} instead of {other}" for name, one, other in rows if one != other)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.kills", description=__doc__)
    parser.add_argument("times", type=int, nargs="?", default=30)
    parser.add_argument("seed", type=int, nargs="?", default=1, help="of the moments")
    parser.add_argument("--whole", action="store_true", help="a run with machines")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-", dir=cache_dir().parent) as name:
        world = (WholeRun if arguments.whole else SmallReview)(Path(name))
        return 1 if kills(world, arguments.times, arguments.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
