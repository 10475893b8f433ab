# SPDX-License-Identifier: GPL-2.0-or-later
"""Fill the cache before anybody posts: build the stack as it is without patches."""

from reviewbot import build, trees
from reviewbot.config import Site, use_boxes
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.progress import Progress, silent
from reviewbot.model.stack import Stack
from reviewbot.store import Store

LOGS = "warm"
"""Folder of the logs, below the data folder."""


def warm(stack: Stack, site: Site, progress: Progress = silent, *, guest: bool = True) -> Artifacts:
    """The unpatched components at their default bases, built into the cache.

    guest: False leaves out what only machines need. Runs no code but that of the sources which the site names, so that
    what it leaves may be read by every posting. Raises KernelUnbuildable, InfraError.
    """
    use_boxes(site)
    names = tuple(component.name for component in stack.components)
    resolved = trees.resolve(
        None, {}, stack, components=names, bases=trees.Bases(network=site.network), cache=cache_dir(), progress=progress
    )
    logs = data_dir() / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    store = Store(cache_dir())
    if guest:
        return build.build_all(resolved, stack, store=store, site=site, kinds=names, logs=logs, progress=progress)
    artifacts, _ = build.build_components(
        resolved, stack, store=store, site=site, kinds=names, logs=logs, progress=progress
    )
    return artifacts
