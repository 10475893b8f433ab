# SPDX-License-Identifier: GPL-2.0-or-later
"""Results that need not be found again: the same inputs were tested before."""

from collections.abc import Mapping
from pathlib import Path

from reviewbot.host.files import copy_tree, write_atomic
from reviewbot.model.artifacts import Fact
from reviewbot.model.results import LegResult
from reviewbot.runner.context import Context
from reviewbot.runner.suite_job import SuiteJob


def find(work: SuiteJob, context: Context) -> LegResult | None:
    """What an earlier run found, with its logs put into this one's; None when there is nothing, or it is not wanted."""
    if context.tests.fresh or not (found := context.store.find("leg", work.inputs)):
        return None
    copy_tree(Path(found.path) / "logs", context.run.logs(work.leg.name))
    result = LegResult.model_validate_json((Path(found.path) / "result.json").read_bytes())
    return result.model_copy(update={"reused": True})


def keep(work: SuiteJob, result: LegResult, context: Context) -> None:
    """Put a whole result into the store, in place of an older one."""
    logs = context.run.logs(work.leg.name)

    def fill(folder: Path) -> Mapping[str, Fact]:
        (folder / "logs").mkdir()
        for source in sorted(logs.iterdir()):
            if source.name != work.suite and not source.name.startswith(f"{work.leg.name}-{work.suite}"):
                continue
            copy_tree(source, folder / "logs" / source.name)
        write_atomic(folder / "result.json", result.model_dump_json())
        return {"tests": len(result.tests)}

    if context.tests.fresh and (old := context.store.find("leg", work.inputs)):
        context.store.drop(old)
    context.store.get("leg", work.inputs, fill)
