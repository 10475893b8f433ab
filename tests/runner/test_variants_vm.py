# SPDX-License-Identifier: GPL-2.0-or-later
"""Variants find in real machines what the plain stack forgives.

A variant's kernel takes as long to build as the first one, so each test runs only where `REVIEWBOT_VARIANTS` names its
variant (`all`: every one).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.__main__ import SITE
from tests.conftest import ROOT
from tests.machines import DemoRun

pytestmark = pytest.mark.vm
POSTINGS = ROOT / "tests" / "golden" / "postings"


def run_of(posting: str, variant: str, folder: Path) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The run's folder and the results of its tests, by name; skips where the variant costs a build."""
    wanted = os.environ.get("REVIEWBOT_VARIANTS", "")
    if wanted != "all" and variant not in wanted.split():
        pytest.skip(f"REVIEWBOT_VARIANTS does not name {variant}")
    (folder / "site.yaml").write_text(SITE.format(url="http://127.0.0.1:9/nothing"))
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "apply-and-test", "--no-compare", "--mbox",
         str(POSTINGS / f"{posting}.mbox"), "--legs", "fuse2fs", "--suites", "smoke", "--no-review",
         "--variant", variant],
        capture_output=True, text=True, check=False,
        env={**os.environ, "REVIEWBOT_DATA": str(folder), "REVIEWBOT_SITE": str(folder / "site.yaml"), "CI": ""},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    run = (folder / "runs" / "latest").resolve()
    found = json.loads((run / "results.json").read_bytes())
    assert found["variant"] == variant
    assert f"\nFAILURES (variant {variant}): " in (run / "reply.eml").read_text()
    return run, {test["test"]: test for test in found["legs"][0]["tests"]}


def test_kasan_and_lockdep_report_on_the_test_that_made_the_mistake(demo_run: DemoRun, tmp_path: Path) -> None:
    assert demo_run.status == 0
    _, tests = run_of("sanitised", "kasan,lockdep", tmp_path)
    assert [tests[name]["outcome"] for name in ("mkfs", "mount", "files", "directories")] == ["PASS"] * 4
    locked, freed = tests["rename"], tests["links"]
    assert (locked["outcome"], locked["crash"]) == ("CRASH", "lockdep"), locked["reason"]
    assert locked["fingerprint"].startswith("fuse_rename2:vfs_rename:")
    assert (freed["outcome"], freed["crash"]) == ("CRASH", "kasan"), freed["reason"]
    assert freed["fingerprint"].startswith("fuse_symlink:vfs_symlink:")
    assert "slab-use-after-free in fuse_symlink" in freed["trace"] and "(fs/fuse/dir.c:93" in freed["trace"]
    assert all(test["outcome"] != "INFRA" for test in tests.values())


def test_leaks_shifts_and_bytes_beyond_a_buffer_are_found_by_one_kernel(demo_run: DemoRun, tmp_path: Path) -> None:
    assert demo_run.status == 0
    _, tests = run_of("careless", "debug-vfs,kmemleak,slub,ubsan", tmp_path)
    assert [tests[name]["outcome"] for name in ("mkfs", "mount", "files")] == ["PASS"] * 3
    beyond, shifted, leaked = tests["directories"], tests["rename"], tests["links"]
    assert (beyond["outcome"], beyond["crash"]) == ("CRASH", "bug"), beyond["reason"]
    assert "BUG kmalloc-" in beyond["reason"] and "fuse_rmdir" in beyond["fingerprint"]
    assert (shifted["outcome"], shifted["crash"]) == ("CRASH", "ubsan"), shifted["reason"]
    assert "shift-out-of-bounds in fs/fuse/dir.c" in shifted["reason"]
    assert (leaked["outcome"], leaked["crash"]) == ("CRASH", "kmemleak"), leaked["reason"]
    assert leaked["fingerprint"].startswith("fuse_symlink:") and "(fs/fuse/dir.c:929" in leaked["trace"]
    assert all(test["outcome"] != "INFRA" for test in tests.values())


def test_a_report_of_the_address_sanitizer_is_the_servers_death(demo_run: DemoRun, tmp_path: Path) -> None:
    assert demo_run.status == 0
    run, tests = run_of("overflow", "asan-server", tmp_path)
    assert [tests[name]["outcome"] for name in ("mkfs", "mount", "files", "directories")] == ["PASS"] * 4
    links = tests["links"]
    assert links["outcome"] == "CRASH", links["reason"]
    said = "".join(path.read_text(errors="replace") for path in (run / links["log"]).rglob("server.log"))
    assert "ERROR: AddressSanitizer: heap-buffer-overflow" in said and "op_symlink" in said
