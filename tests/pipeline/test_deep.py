# SPDX-License-Identifier: GPL-2.0-or-later
"""A deep run: the same head as variants of its stack, compared with base built the same way."""

from pathlib import Path
from typing import Any

import pytest

from reviewbot import build, lab
from reviewbot.config import Site, load_stack
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.comparison import Class
from reviewbot.model.deep import Deep
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.plan import Plan
from reviewbot.model.progress import silent
from reviewbot.model.results import Results
from reviewbot.model.variants import Variant
from reviewbot.pipeline.compare import Head
from reviewbot.pipeline.deep import deep_runs
from reviewbot.pipeline.request import HowToRun, Request, TestRequest, check_request
from reviewbot.pipeline.run import Run
from tests.mails import mbox, posting
from tests.pipeline.test_compare import PLAN
from tests.played import TESTS, Lab, World, other

FIRST = TESTS[0]
DEEP = PLAN.model_copy(update={"deep": True, "suites": ("fstests",)})
STACK = load_stack().model_copy(update={"default_tests": f"{FIRST} {TESTS[1]}"})


@pytest.fixture
def world(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REVIEWBOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lab, "choose_accelerator", lambda *_, **__: Accelerator("tcg", "a test"))
    return world


def head_of(world: World, plan: Plan) -> Head:
    context = world.context()
    context.run.write("mails.mbox", mbox(posting()))
    return Head(Run.of(context.run, plan, STACK, Site(), silent), context)


def deep(world: World, monkeypatch: pytest.MonkeyPatch, played: Lab) -> Deep:
    """The builds play: the first is head's, the next base's."""
    built: list[Variant] = []

    def build_all(*_: Any, variant: Variant, **__: Any) -> Artifacts:
        built.append(variant)
        return world.artifacts if len(built) == 1 else other(world.artifacts)

    monkeypatch.setattr(build, "build_all", build_all)
    with world.playing(played):
        (found,) = deep_runs(head_of(world, DEEP))
    assert {variant.name for variant in built} == {"kasan,lockdep"}
    return found


def test_a_splat_that_only_a_variant_shows_is_compared_with_base_of_that_variant(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = Lab(script={FIRST: ["crash", *["done", "crash"] * 4]})
    found = deep(world, monkeypatch, played)
    assert found.variant == "kasan,lockdep" and found.results and found.comparison
    assert [(one.test, one.kind) for one in found.comparison.tests] == [(FIRST, Class.NEW)]
    assert all("kasan_multi_shot" in job.kernel_line for job in played.jobs)
    assert {test.test for leg in found.results.legs for test in leg.tests} == {FIRST, TESTS[1]}


def test_a_feature_that_is_gone_in_a_variant_is_looked_up_in_the_mails_of_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = deep(world, monkeypatch, Lab(script={FIRST: ["notrun"]}))
    assert found.comparison
    assert [(one.test, one.kind) for one in found.comparison.tests] == [(FIRST, Class.NEWLY_NOTRUN)]


def test_its_files_are_below_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = deep(world, monkeypatch, Lab())
    (folder,) = world.folder.glob(f"runs/2*/{found.folder}")
    assert Results.model_validate_json((folder / "results.json").read_bytes()) == found.results
    assert (folder / "comparison.json").exists()


def test_a_variant_that_does_not_build_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def build_all(*_: Any, **__: Any) -> Artifacts:
        raise InfraError("no room for another kernel")

    monkeypatch.setattr(build, "build_all", build_all)
    (found,) = deep_runs(head_of(world, DEEP))
    assert (found.problem, found.results) == ("no room for another kernel", None)


def test_a_run_that_is_not_deep_has_no_variants(world: World) -> None:
    assert deep_runs(head_of(world, PLAN)) == ()


@pytest.mark.parametrize(("variants", "how"), [(("ubsan",), HowToRun()), ((), HowToRun(shards=2, shard_dir=Path("x")))])
def test_what_does_not_go_together_is_refused(variants: tuple[str, ...], how: HowToRun, tmp_path: Path) -> None:
    request = Request(tests=TestRequest(deep=True, variants=variants), how=how)
    with pytest.raises(UsageError, match="--deep"):
        check_request(request, load_stack(), tmp_path)
