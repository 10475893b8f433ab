# SPDX-License-Identifier: GPL-2.0-or-later
"""The fleet that `--on` names, as the site file describes it."""

import os
import re
import shutil
from pathlib import Path

from reviewbot.config import Site
from reviewbot.fleet.engine import Engine
from reviewbot.fleet.fleet import Fleet
from reviewbot.fleet.github import Github
from reviewbot.fleet.kubernetes import Kubernetes
from reviewbot.fleet.local import Local
from reviewbot.fleet.slurm import COMMANDS, Slurm
from reviewbot.host.process import ToolMissing
from reviewbot.model.errors import UsageError
from reviewbot.model.fleet import EngineSettings, GithubEngine, KubernetesEngine, LocalEngine, SlurmEngine
from reviewbot.model.progress import Progress
from reviewbot.runner.select import SLOW
from reviewbot.store import Durations, RunFolder
from reviewbot.store.objects import Objects

HERE = "local"
"""What `--on` says of this process; a site file may describe it as an engine, too."""


def settings_of(name: str, site: Site) -> EngineSettings | None:
    """None: machines run in this process. Raises UsageError."""
    if name in site.fleet:
        return site.fleet[name]
    if name in ("", HERE):
        return None
    if name == "slurm":
        return SlurmEngine(engine="slurm")
    known = [HERE, *site.fleet, *({"slurm"} - site.fleet.keys())]
    raise UsageError(f"no fleet {name}", hint=f"known: {', '.join(known)}; `fleet:` of the site file names others")


def check_commands(settings: EngineSettings) -> None:
    """That the engine is asked by. Raises ToolMissing: better now than after the builds."""
    wanted = settings.command[:1] if isinstance(settings, LocalEngine) else ()
    for name in COMMANDS if isinstance(settings, SlurmEngine) else wanted:
        if shutil.which(name) is None:
            raise ToolMissing(name)


def open_fleet(
    name: str, site: Site, run: RunFolder, cache: Path, accelerator: str, progress: Progress
) -> Fleet | None:
    """None: machines run in this process. accelerator: that workers are expected to have. Raises UsageError."""
    settings = settings_of(name, site)
    if settings is None:
        return None
    shared = Path(settings.folder) if isinstance(settings, SlurmEngine) and settings.folder else None
    folder = shared or cache / "scratch"
    objects = Objects(Path(settings.objects) if settings.objects else (shared or cache) / "objects")
    known = Durations(cache / "durations.json").slowest(accelerator)
    return Fleet(
        name=name,
        settings=settings,
        engine=_engine(name, settings, settings.store or str(objects.root), site),
        folder=folder / "fleet",
        objects=objects,
        run=run,
        progress=progress,
        slow=known or SLOW.get(accelerator, 1.0),
    )


def _engine(name: str, settings: EngineSettings, store: str, site: Site) -> Engine:
    match settings:
        case LocalEngine():
            return Local(settings, store, _environment(site))
        case SlurmEngine():
            return Slurm(settings, store, settings.most)
        case GithubEngine():
            return Github(settings, _reachable(name, settings), _token(name, settings.token))
        case KubernetesEngine():
            return Kubernetes(settings, _reachable(name, settings))


def _reachable(name: str, settings: EngineSettings) -> str:
    """Raises UsageError."""
    if not settings.store.startswith(("http://", "https://")):
        raise UsageError(
            f"fleet {name} has no store that its workers can reach", hint="`store: https://…`: docs/fleet.md"
        )
    return settings.store


def _token(name: str, variable: str) -> str:
    """Raises UsageError."""
    if not re.fullmatch(r"[!-~]+", token := os.environ.get(variable, "")):
        raise UsageError(f"fleet {name} needs a token, and the variable {variable} has none", hint="docs/fleet.md")
    return token


def _environment(site: Site) -> dict[str, str]:
    """That processes of this host find the same cache and settings with."""
    mine = {name: os.environ[name] for name in os.environ if name.startswith(("REVIEWBOT_", "XDG_"))}
    return {**mine, **({"REVIEWBOT_SITE": str(site.file.absolute())} if site.file else {})}
