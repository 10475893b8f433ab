# SPDX-License-Identifier: GPL-2.0-or-later
"""Variants of the stack: the same trees, built or run with debugging checks enabled."""

from collections.abc import Iterable
from typing import Self

from pydantic import Field, model_validator

from reviewbot.model.base import Model

MOST_SLOW = 6.0
"""Several variants together raise limits no further than this, or than the slowest of them: what is generous four times
over lets a hang pass for hours."""


class Variant(Model):
    """What one variant changes. Several at once are one, too (`joined`); the plain stack changes nothing."""

    name: str = ""
    """`kasan`; of several `asan-server,kasan`; empty: the plain stack."""
    why: str = ""
    fragments: tuple[str, ...] = ()
    """Kernel configuration on top of the base, `kconfigs/variants/NAME.config`."""
    recipes: dict[str, dict[str, str]] = {}
    """Recipe (`e2fsprogs`) -> variables in the environment of its script."""
    without: dict[str, str] = {}
    """Component -> why it is not built in this variant; legs that need it are unavailable."""
    kernel_line: tuple[str, ...] = ()
    """Words of the kernel's command line."""
    env: dict[str, str] = {}
    """Environment of everything that runs in the guest, servers too."""
    wrap: tuple[str, ...] = ()
    """A program of the guest, with arguments, that runs each step's command and looks around after it."""
    slow: float = Field(default=1.0, ge=1.0)
    """How many times slower than the plain stack a test may be: multiplies limits."""
    memory: int = Field(default=0, ge=0)
    """MiB that a machine needs on top of the usual."""
    counters: bool = False
    """The stack counts what it runs: kernel directories that the posting touches are profiled, notes of objects are
    kept, each machine brings its counters back in the end, and the run says which patched lines they reached."""
    renew: bool = False
    """What checks the kernel ends with its first report: the next test has a new machine."""
    conflicts: tuple[str, ...] = ()
    """Variants that cannot be in the same build."""

    @property
    def folder(self) -> str:
        """Its name where a comma is in the way."""
        return self.name.replace(",", "+")

    def flags(self, recipe: str) -> dict[str, str]:
        """Variables for a recipe's script."""
        return self.recipes.get(recipe, {})


PLAIN = Variant()
"""The stack as it is."""


class Variants(Model):
    """All that are known, as in `kconfigs/variants.yaml`."""

    variants: tuple[Variant, ...]

    @model_validator(mode="after")
    def _conflicts_are_known(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names) or not all(names):
            raise ValueError("each variant needs its own name")
        for variant in self.variants:
            if unknown := set(variant.conflicts) - set(names):
                raise ValueError(f"{variant.name} conflicts with {', '.join(sorted(unknown))}, which is not here")
        return self

    def get(self, name: str) -> Variant | None:
        return next((variant for variant in self.variants if variant.name == name), None)


def joined(variants: Iterable[Variant]) -> Variant:
    """Several variants in one build, in the order of their names: the same set is the same variant.

    Where two set the same variable their values are joined by a blank, or by a colon in `*_OPTIONS` of sanitisers.
    """
    whole = PLAIN
    for one in sorted(variants, key=lambda variant: variant.name):
        whole = Variant(
            name=",".join(filter(None, (whole.name, one.name))),
            why="; ".join(filter(None, (whole.why, one.why))),
            fragments=tuple(dict.fromkeys((*whole.fragments, *one.fragments))),
            recipes={
                recipe: _merged(whole.flags(recipe), one.flags(recipe))
                for recipe in sorted({*whole.recipes, *one.recipes})
            },
            without={**whole.without, **one.without},
            kernel_line=tuple(dict.fromkeys((*whole.kernel_line, *one.kernel_line))),
            env=_merged(whole.env, one.env),
            wrap=(*whole.wrap, *one.wrap),
            slow=min(whole.slow * one.slow, max(whole.slow, one.slow, MOST_SLOW)),
            memory=whole.memory + one.memory,
            counters=whole.counters or one.counters,
            renew=whole.renew or one.renew,
            conflicts=tuple(dict.fromkeys((*whole.conflicts, *one.conflicts))),
        )
    return whole


def _merged(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    found = dict(old)
    for name, value in new.items():
        blank = ":" if name.endswith("_OPTIONS") else " "
        found[name] = f"{found[name]}{blank}{value}" if name in found and found[name] != value else value
    return found
