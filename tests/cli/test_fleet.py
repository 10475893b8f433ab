# SPDX-License-Identifier: GPL-2.0-or-later
"""Fleets on the command line: who does what, what is served, and mistakes in one line."""

import datetime
import hashlib
import json
import signal
import urllib.request

import pytest

from reviewbot.model.fleet import ROWS, FleetRows, ShardRow, ShardState
from reviewbot.store import Runs
from reviewbot.store.objects import Objects
from tests.mails import posting
from tests.user import User


def test_a_run_says_which_host_does_what(user: User) -> None:
    run = Runs(user.folder / "data" / "runs").create()
    now = datetime.datetime.now(datetime.UTC)
    rows = (
        ShardRow(
            shard="ext4 fstests 1/2", state=ShardState.RUNS, where="node7", kind="kvm@x", done=3, total=40, since=now
        ),
        ShardRow(shard="ext4 fstests 2/2", state=ShardState.WAITS, attempt=2, total=40, why="its worker disappeared"),
    )
    run.write(ROWS, FleetRows(run=run.id, fleet="lab", engine="slurm", shards=rows))
    said = user.call("runs", "latest").stdout.splitlines()
    assert said[1] == "lab (slurm): 2 shards"
    assert said[2].startswith("  ext4 fstests 1/2  runs  node7 (kvm@x)  3/40  ")
    assert said[3] == "  ext4 fstests 2/2  waits  0/40  –  attempt 2: its worker disappeared"
    found = json.loads(user.call("runs", run.id, "--json").stdout)
    assert found["run"] == run.id and [row["where"] for row in found["fleet"]["shards"]] == ["node7", ""]


def test_a_run_of_this_host_alone_says_so(user: User) -> None:
    Runs(user.folder / "data" / "runs").create()
    assert user.call("runs", "latest").stdout.splitlines()[1] == "no shards on other hosts"
    user.refuses(2, "no such run: 1999", "runs", "1999")


def test_a_store_is_served_until_it_is_interrupted(user: User) -> None:
    digest = hashlib.sha256(b"kernel").hexdigest()
    Objects(user.folder / "cache" / "objects").put_bytes(b"kernel")
    serving = user.start("store", "serve", "--listen", "127.0.0.1:0", PYTHONUNBUFFERED="1")
    assert serving.stdout and serving.stderr
    url, words = serving.stdout.readline().split(maxsplit=1)
    assert words.startswith("1 object in ")
    with urllib.request.urlopen(f"{url}/{digest[:2]}/{digest}") as answer:
        assert answer.read() == b"kernel"
    serving.send_signal(signal.SIGINT)
    assert serving.wait(60) == 0
    assert f"GET /{digest[:2]}/{digest}" in serving.stderr.read()
    serving.stdout.close()
    serving.stderr.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--on", "nowhere"), "no fleet nowhere"),
        (("--on", "lab", "--shards", "2", "--shard-dir", "x"), "--on creates its own shards"),
        (("--on", "cloud"), "fleet cloud has no store that its workers can reach"),
    ],
)
def test_a_fleet_that_cannot_be_meant_is_one_line_and_no_run(user: User, words: tuple[str, ...], said: str) -> None:
    user.site(fleet={"lab": {"engine": "slurm"}, "cloud": {"engine": "github", "repository": "owner/name"}})
    user.refuses(2, said, "apply-and-test", "--mbox", user.thread(posting()), *words)
    assert user.runs == []


def test_a_fleet_whose_command_is_not_here_is_told_before_anything_is_built(user: User) -> None:
    user.site(fleet={"here": {"engine": "local", "command": ["no-such"]}})
    words = ("apply-and-test", "--mbox", user.thread(posting()), "--on", "here")
    user.refuses(4, "`no-such` is not installed", *words)
    assert user.runs == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"engine": "dask"}, "site.yaml:"),
        ({"engine": "slurm", "folder": "relative"}, "fleet.lab.slurm.folder"),
        ({"engine": "github"}, "fleet.lab.github.repository"),
        ({"engine": "kubernetes", "image": "x", "namespace": "A/../b"}, "fleet.lab.kubernetes.namespace"),
        ({"engine": "local", "workers": 0}, "fleet.lab.local.workers"),
        ({"engine": "local", "poll": float("inf")}, "fleet.lab.local.poll"),
        ({"engine": "slurm", "lease": float("inf")}, "fleet.lab.slurm.lease"),
    ],
)
def test_an_entry_of_the_site_file_that_is_wrong_is_named_with_its_key(
    user: User, entry: dict[str, object], said: str
) -> None:
    user.site(fleet={"lab": entry})
    user.refuses(2, said, "plan", "--mbox", user.thread(posting()))


def test_a_worker_without_a_store_that_has_the_shard_says_what_to_do(user: User) -> None:
    user.refuses(4, "reviewbot store serve", "run-shard", f"sha256:{'0' * 64}", "--store", str(user.folder))
    user.refuses(2, "sha256: and 64 hex digits", "run-shard", "sha256:xyz")
    user.refuses(4, "name a --store", "run-shard", f"sha256:{'0' * 64}")
    user.refuses(2, "Missing command", "store")
    user.refuses(2, "not a store: ftp://x", "run-shard", f"sha256:{'0' * 64}", "--store", "ftp://x")
