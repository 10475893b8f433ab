# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot warm`: the unpatched stack, without a posting."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


@pytest.mark.build
def test_what_can_be_had_is_built_and_the_rest_is_named(tmp_path: Path) -> None:
    names = ("kernel", "libfuse", "e2fsprogs", "fstests", "lkl")
    nowhere = {name: {"provider": "dir", "path": str(tmp_path / "nowhere")} for name in names}
    (tmp_path / "site.yaml").write_text(yaml.safe_dump({"components": nowhere}))
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "warm", "--no-guest", "--json", "--site", str(tmp_path / "site.yaml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["built"] == ["buildroot"]
    assert set(found["unavailable"]) == set(names)
    assert all("no such folder" in why for why in found["unavailable"].values())
