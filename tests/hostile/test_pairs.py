# SPDX-License-Identifier: GPL-2.0-or-later
"""A hostile posting, then an honest one with the same cache, by root and by an ordinary user."""

import json
import os
import secrets
from pathlib import Path

import pytest

from reviewbot.host.box import remove
from tests.hostile.callers import Caller
from tests.hostile.pair import Told

SCRIPTS = {
    "dates the objects of base": "touch -d 2035-01-01 $(O)/fs/fuse/inode.o $(O)/fs/fuse/dev.o",
    "removes them": "rm -rf $(O)/fs $(O)/init",
    "makes a makefile that goes first": r"printf 'bzImage:\n\techo bad\n' > $(O)/GNUmakefile",
    "shuts folders": "chmod 0 $(O)/fs $(O)",
    "goes deep": "cd $(O); mkdir -p $$(printf 'd/%.0s' {1..1500})",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_honest_kernel_is_as_from_an_empty_cache(caller: Caller, name: str) -> None:
    folder = caller.home / f"pair-{secrets.token_hex(8)}"
    folder.mkdir()
    os.chown(folder, caller.uid, -1)
    done = caller.run("-m", "tests.hostile.pair", str(folder), stdin=SCRIPTS[name])
    assert done.returncode == 0, done.stderr
    told = Told(**json.loads(done.stdout))
    assert told.ran and told.after == told.clean
    assert told.compiled == 1, "objects of base are used"
    assert not told.said
    assert not list(Path(folder, "cache", "building").iterdir())
    remove(folder)
