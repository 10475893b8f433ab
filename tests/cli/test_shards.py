# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of a run on several hosts, as their user types them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.lab import GuestStep
from reviewbot.model.shard import IMAGES, Need, Shard
from tests.command import called

SHARD = Shard(
    run="20261125-130000-abcd",
    nonce="00ff",
    leg=load_stack().leg("ext4"),
    suite="fstests",
    release="7.1",
    memory=512,
    cpus=1,
    steps=(GuestStep(name="fstests/generic/001", argv=("true",), timeout=1),),
    needs=tuple(Need.model_validate({"kind": kind, "key": "0123"}) for kind in IMAGES),
)


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folders = {"REVIEWBOT_CACHE": str(folder / "cache"), "REVIEWBOT_DATA": str(folder / "data")}
    return called(*arguments, env={**os.environ, **folders})


def test_what_a_shard_needs_and_is_not_here_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "shard.json").write_text(SHARD.model_dump_json())
    done = call(tmp_path, "run-shard", str(tmp_path / "shard.json"))
    assert (done.returncode, done.stdout) == (4, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith("reviewbot: kernel-0123 is missing") and "copy artifacts/kernel-0123" in done.stderr
    assert not (tmp_path / "shard.result.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("run-shard", "/nowhere/shard.json"), ("merge-shards", "/nowhere"), ("run-shard", "{bad}"),
        ("apply-and-test", "--mbox", "/nowhere", "--shards", "2"),
        ("apply-and-test", "--mbox", "/nowhere", "--shard-dir", "x"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_status_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({**json.loads(SHARD.model_dump_json()), "run": "../../x"}))
    done = call(tmp_path, *(word.format(bad=bad) for word in words))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
