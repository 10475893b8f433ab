# SPDX-License-Identifier: GPL-2.0-or-later
"""One user's store beside a fleet whose workers play their part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reviewbot.fleet.engine import Engine
from reviewbot.fleet.fleet import Fleet
from reviewbot.model.fleet import LocalEngine
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.shard import IMAGES, Shard
from reviewbot.model.stack import LegSpec
from reviewbot.runner import Context, run_legs
from reviewbot.store.objects import Objects
from tests.fleet.workers import Deed, PlayedEngine
from tests.played import LEG, World

Deeds = Callable[[Shard, int], Deed]


def good(shard: Shard, attempt: int) -> Deed:
    return Deed()


@dataclass
class FleetWorld:
    """Runs of one user on a played fleet."""

    world: World
    deed: Deeds = good
    settings: LocalEngine = field(
        default_factory=lambda: LocalEngine(engine="local", shards=4, poll=0.001, lease=0.0001)
    )
    engines: list[Engine] = field(default_factory=list)

    def __post_init__(self) -> None:
        for kind, image in IMAGES.items():
            path = Path(self.world.artifacts.artifacts[kind].path)
            path.mkdir(exist_ok=True)
            (path / image).write_text(f"boots {kind}")

    @property
    def objects(self) -> Path:
        return self.world.folder / "cache" / "objects"

    @property
    def engine(self) -> PlayedEngine:
        """The last one."""
        found = self.engines[-1]
        assert isinstance(found, PlayedEngine)
        return found

    def context(self, engine: Engine | None = None, slow: float = 0.001) -> Context:
        """A new run. engine: None: one that plays. slow: as small as leases are to be short."""
        context = self.world.context()
        played = PlayedEngine(self.world.folder / "hosts", (str(self.objects),), self.deed)
        self.engines.append(engine or played)
        fleet = Fleet(
            name="lab",
            settings=self.settings,
            engine=self.engines[-1],
            folder=self.world.folder / "cache" / "scratch" / "fleet",
            objects=Objects(self.objects),
            run=context.run,
            progress=context.progress,
            slow=slow,
        )
        return replace(context, elsewhere=fleet)

    def run(
        self, *suites: str, legs: Sequence[LegSpec] = (LEG,), context: Context | None = None
    ) -> tuple[LegResult, ...]:
        """Every planned test has one outcome, whatever the workers did."""
        results = run_legs(legs, suites or ("fstests",), context or self.context())
        for result in results:
            assert sum(result.count(outcome) for outcome in Outcome) == len(result.tests) == result.planned
            assert len({(t.suite, t.test) for t in result.tests}) == len(result.tests)
        return results

    @property
    def said(self) -> list[str]:
        """Lines that whoever watches sees."""
        return [event.text for event in self.world.events if event.state == "say"]
