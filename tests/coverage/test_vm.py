# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters of a real kernel and of real programs."""

import shutil
from pathlib import Path

import pytest

from reviewbot import suites
from reviewbot.build.components import RECIPES
from reviewbot.build.debian import buildroot
from reviewbot.build.recipe import run_recipe
from reviewbot.config import choose_variant, load_site, load_stack
from reviewbot.coverage.counters import count, notes_folder, objects, sets_of_counters
from reviewbot.host.paths import cache_dir
from reviewbot.host.sandbox import Sandbox
from reviewbot.lab import run_job
from reviewbot.model.artifacts import Artifact
from reviewbot.model.stack import Source
from reviewbot.store import Store
from reviewbot.suites import smoke
from reviewbot.trees import resolve
from tests.machines import TCG, Images

GCOV = choose_variant(["gcov"])


def kernel_that_counts(folder: str) -> Artifact:
    """Of the store: building one takes 10 minutes."""
    found = [a for a in Store(cache_dir()) if a.kind == "kernel" and folder in a.inputs.get("profiled", "").split()]
    if not found:
        pytest.skip(f"the store has no kernel of --variant gcov that counts in {folder}")
    return found[-1]


@pytest.mark.vm
def test_the_kernels_counters_come_back_and_say_what_ran(machine_images: Images, tmp_path: Path) -> None:
    kernel = kernel_that_counts("fs/fuse")
    leg = load_stack().leg("fuse2fs")
    steps = [step for step in smoke.steps(leg) if step.name in ("smoke/mkfs", "smoke/mount", "smoke/files")]
    job = machine_images.job(
        *suites.setup_steps(leg), *steps, name=leg.name, disks=suites.disks(1), release=str(kernel.facts["release"])
    )
    last = suites.counters_step(leg).model_copy(update={"name": f"{job.name}/coverage"})
    job = job.model_copy(update={"kernel": str(Path(kernel.path) / "bzImage"), "last": last})
    reply = run_job(job, TCG, tmp_path)
    assert (reply.complete, reply.problem, reply.notes) == (True, "", ())
    (counters,) = sets_of_counters(tmp_path)
    assert (counters / "notes").read_text() == ""
    root = buildroot(Store(cache_dir()), load_site().debian_suite, tmp_path / "buildroot.log")
    files, notes = ("fs/fuse/dir.c", "fs/fuse/fuse_i.h"), notes_folder(kernel)
    assert notes is not None
    known = objects(notes, files)
    found = count(Sandbox(Path(root.path) / "root"), known, files, tmp_path / "gcov.log", counters)
    calls = {name: times for name, (_, times) in found["fs/fuse/dir.c"].functions.items()}
    assert calls["fuse_create_open"] > 0 and calls["fuse_mknod"] == 0
    assert found["fs/fuse/fuse_i.h"].reached


@pytest.mark.build
@pytest.mark.network
def test_a_library_with_counters_keeps_the_notes_of_its_objects(tmp_path: Path) -> None:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    store, site = Store(cache_dir()), load_site()
    source = {"libfuse": Source(provider="deb", package="fuse3", suite="trixie")}
    stack = load_stack("fuse", site.model_copy(update={"components": source}))
    trees = resolve(None, {}, stack, components=source, cache=store.root)
    if trees.unavailable:
        pytest.skip(trees.unavailable["libfuse"])
    root = buildroot(store, site.debian_suite, tmp_path / "buildroot.log")
    built = run_recipe(RECIPES["libfuse"], store, trees.trees[0], root, {}, tmp_path / "libfuse.log", GCOV)
    notes = notes_folder(built)
    assert notes is not None
    names = [one.counters for one in objects(notes, ["lib/fuse_lowlevel.c"])]
    library = b"".join(path.read_bytes() for path in Path(built.path, "root/stack/lib").glob("libfuse3.so.*.*"))
    assert any(f"/run/reviewbot/gcov/{name}".encode() in library for name in names), names
