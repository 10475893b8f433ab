# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for products when root calls holds when an ordinary user does: the same tests, run as one."""

import os
from pathlib import Path

import pytest

from tests.hostile.callers import user_calls

TESTS = (
    "host/test_gate.py",
    "host/test_files.py",
    "host/test_checkout.py::test_a_box_sees_a_tree_above_its_base_as_it_is",
    "host/test_sandbox.py::test_changes_above_a_lower_layer_stay_above_it",
    "host/test_sandbox.py::test_layers_can_be_read_as_one_folder_that_nobody_changes",
    "build/test_recipe.py",
    "build/test_payload.py",
    "store/test_artifacts.py",
)


@pytest.mark.build
@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user runs these tests anyway")
def test_products_of_an_ordinary_users_boxes(tmp_path: Path) -> None:
    with user_calls(tmp_path) as caller:
        folder = caller.home / "repository" / "tests"
        done = caller.run(
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--basetemp",
            str(caller.home / "tmp"),
            "--rootdir",
            str(folder.parent),
            "-c",
            str(folder.parent / "pyproject.toml"),
            *(str(folder / name) for name in TESTS),
            env={"PYTHONDONTWRITEBYTECODE": "1"},
        )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout and " failed" not in done.stdout
