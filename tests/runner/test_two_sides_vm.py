# SPDX-License-Identifier: GPL-2.0-or-later
"""Head and base of one posting in one run, at the same time, in real machines: results and logs are kept apart."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from reviewbot import suites
from reviewbot.config import load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.build import BASE, HEAD, Build
from reviewbot.model.lock import Conditions
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome
from reviewbot.runner import Context, Tests, run_legs
from reviewbot.store import Durations, Runs, Store
from tests.machines import TCG, DemoRun

pytestmark = pytest.mark.vm
CHECKS = ("mkfs", "mount", "files")


def test_head_and_base_run_at_the_same_time_and_nothing_is_mixed_up(demo_run: DemoRun, tmp_path: Path) -> None:
    assert demo_run.status == 0
    lock = demo_run.lock
    tree = lock.trees.get("kernel")
    assert tree is not None and tree.head_tree != tree.base_tree
    ends = {side: f"-rb-{kept[:12]}" for side, kept in ((HEAD, tree.head_tree), (BASE, tree.base_tree))}
    kernel = lock.artifacts.artifacts["kernel"]
    kernels = {
        HEAD: kernel,
        BASE: next(
            one
            for one in Store(cache_dir()).of("kernel")
            if str(one.facts["release"]).endswith(ends[BASE]) and one.inputs["config"] == kernel.inputs["config"]
        ),
    }
    head = Context(
        build=Build(trees=lock.trees, artifacts=lock.artifacts),
        conditions=Conditions(legs=(), disks=suites.disks(1), memory=2048, cpus=2),
        tests=Tests("", checks=CHECKS),
        accelerator=TCG,
        store=Store(tmp_path / "cache"),
        run=Runs(tmp_path / "runs").create(),
        durations=Durations(tmp_path / "durations.json", suites.load_typical()),
        progress=silent,
    )
    built = {**lock.artifacts.artifacts, "kernel": kernels[BASE]}
    before = head.build.model_copy(update={"side": BASE, "artifacts": Artifacts(artifacts=built)})
    base = replace(head.again("base", head.tests), build=before)

    def run(context: Context) -> LegResult:
        (found,) = run_legs([load_stack().leg("ext4")], ["smoke"], context)
        return found

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip((HEAD, BASE), pool.map(run, (head, base)), strict=True))
    for side, result in found.items():
        assert [(test.test, test.outcome) for test in result.tests] == [(check, Outcome.PASS) for check in CHECKS]
        assert not result.reused and str(result.proofs["kernel_release"]).endswith(ends[side])
    (first, second) = (head.run.path / "logs", base.run.path / "logs")
    assert first != second and all((folder / "ext4").is_dir() for folder in (first, second))
    assert kernels[HEAD].key != kernels[BASE].key
