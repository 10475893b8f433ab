# SPDX-License-Identifier: GPL-2.0-or-later
"""What a site file says of its fleets becomes engines, or one line that says what is wrong."""

from pathlib import Path

import pytest

from reviewbot.config import Site
from reviewbot.fleet.choose import check_commands, open_fleet
from reviewbot.fleet.slurm import Slurm
from reviewbot.host.process import ToolMissing
from reviewbot.model.errors import UsageError
from reviewbot.model.fleet import GithubEngine, SlurmEngine
from reviewbot.model.progress import silent
from reviewbot.store import Runs


def test_a_fleet_without_a_store_or_token_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = GithubEngine(engine="github", repository="owner/name")
    run = Runs(tmp_path / "runs").create()
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with pytest.raises(UsageError, match="fleet gh has no store"):
        open_fleet("gh", Site(fleet={"gh": settings}), run, tmp_path, "kvm", silent)
    reached = settings.model_copy(update={"store": "https://store.example.org"})
    with pytest.raises(UsageError, match="fleet gh needs a token, and the variable GITHUB_TOKEN has none"):
        open_fleet("gh", Site(fleet={"gh": reached}), run, tmp_path, "kvm", silent)


def test_nodes_of_slurm_find_everything_in_the_folder_that_they_share(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    site = Site(fleet={"lab": SlurmEngine(engine="slurm", folder=str(shared))})
    found = open_fleet("lab", site, Runs(tmp_path / "runs").create(), tmp_path / "cache", "kvm", silent)
    assert found and isinstance(found.engine, Slurm)
    assert (found.folder, found.objects.root) == (shared / "fleet", shared / "objects")
    assert found.engine.store == str(shared / "objects")


def test_a_name_that_the_site_does_not_have_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no fleet nowhere"):
        open_fleet("nowhere", Site(), Runs(tmp_path / "runs").create(), tmp_path, "kvm", silent)


def test_a_host_without_slurm_is_told_by_the_command_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolMissing, match="`sbatch` is not installed"):
        check_commands(SlurmEngine(engine="slurm"))
