# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel configuration fragments: what is asked for, and whether it was granted."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.data import data_path
from reviewbot.host.git import git
from reviewbot.host.process import CommandFailed
from reviewbot.model.errors import ConfigError, InfraError

_SET = re.compile(r"^(CONFIG_\w+)=(.*)$")
_UNSET = re.compile(r"^# (CONFIG_\w+) is not set$")
_EITHER = re.compile(r"^# EITHER: (CONFIG_\w+(?: CONFIG_\w+)+)$")
_DEFINED = re.compile(r"^\s*(?:menu)?config\s+(\w+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One file of `kconfigs/`."""

    tag: str
    why: str
    values: tuple[tuple[str, str], ...]
    """Symbol with `CONFIG_` -> value; `n` for one that shall not be set."""
    either: tuple[frozenset[str], ...] = ()
    """Symbols of which one is enough: what one kernel version calls what another calls otherwise."""


class ConfigLost(InfraError):
    """Symbols that the tree has and that olddefconfig did not grant."""

    def __init__(self, lost: tuple[tuple[str, str, str, str], ...]) -> None:
        words = ", ".join(f"{symbol}={want} (is {got}, asked by {tag})" for symbol, want, got, tag in lost)
        super().__init__(
            f"the kernel configuration lost {words}", hint="a dependency of the symbol is missing in kconfigs/"
        )
        self.lost = lost


def parse_fragment(name: str, text: str) -> Fragment:
    """Raises ConfigError unless it begins with `# TAG:` and `# WHY:` and holds but symbols and comments.

    The comment `# EITHER: CONFIG_A CONFIG_B` says that a tree which grants one of them may refuse the other.
    """
    lines = text.splitlines()
    heads = [lines[0].partition("# TAG:")[2].strip() if lines else ""]
    heads.append(lines[1].partition("# WHY:")[2].strip() if len(lines) > 1 else "")
    for place, (key, value) in enumerate(zip(("TAG", "WHY"), heads, strict=True), 1):
        if not value:
            raise ConfigError(name, place, f"# {key}:", "is missing")
    values: list[tuple[str, str]] = []
    either: list[frozenset[str]] = []
    for place, line in enumerate(lines[2:], 3):
        if match := _SET.match(line):
            values.append((match[1], match[2]))
        elif match := _UNSET.match(line):
            values.append((match[1], "n"))
        elif match := _EITHER.match(line):
            either.append(frozenset(match[1].split()))
        elif line.strip() and not line.startswith("#"):
            raise ConfigError(name, place, "", f"not a symbol: {line.strip()}")
    return Fragment(heads[0], heads[1], tuple(values), tuple(either))


def load_fragments(more: Iterable[str] = ()) -> tuple[Fragment, ...]:
    """All shipped fragments in the order of their names, then the named ones of variants. Raises ConfigError."""
    names = [path.name for path in sorted(data_path("kconfigs").glob("*.config"))]
    names += [f"variants/{name}.config" for name in more]
    return tuple(_load(f"kconfigs/{name}") for name in names)


def _load(name: str) -> Fragment:
    try:
        return parse_fragment(name, data_path(name).read_text())
    except FileNotFoundError:
        raise ConfigError(name, 0, "", "no such file") from None


def fragment_text(fragments: Iterable[Fragment]) -> str:
    """What goes after tinyconfig's own lines."""
    lines = [f"# {s} is not set" if v == "n" else f"{s}={v}" for f in fragments for s, v in f.values]
    return "\n".join(lines) + "\n"


def parse_config(text: str) -> dict[str, str]:
    """Symbols of a .config that are set."""
    return {match[1]: match[2] for line in text.splitlines() if (match := _SET.match(line))}


def check_survival(
    fragments: Iterable[Fragment], config: Mapping[str, str], defined: Collection[str]
) -> tuple[str, ...]:
    """Symbols that the tree does not know. Raises ConfigLost for those that it knows and did not grant.

    defined: by the tree, without `CONFIG_`.
    """
    lost, unknown = [], []
    for fragment in fragments:
        for symbol, want in fragment.values:
            got = config.get(symbol, "n")
            others = frozenset[str]().union(*(group for group in fragment.either if symbol in group))
            if got == want or any(config.get(other) == want for other in others):
                continue
            if symbol.removeprefix("CONFIG_") in defined:
                lost.append((symbol, want, got, fragment.tag))
            elif want != "n":
                unknown.append(symbol)
    if lost:
        raise ConfigLost(tuple(lost))
    return tuple(unknown)


def decides(path: str) -> bool:
    """Whether a file of a kernel tree has a say in what tinyconfig and olddefconfig make of a fragment."""
    folder, _, name = path.rpartition("/")
    return (
        name.startswith("Kconfig")
        or path.startswith("scripts/")
        or folder.endswith("configs")
        or (name.startswith("Makefile") and re.fullmatch(r"(arch/[^/]+)?", folder) is not None)
    )


def symbols(repository: Path, treeish: str) -> frozenset[str]:
    """What the Kconfig files of a tree define, without `CONFIG_`. Raises CommandFailed."""
    words = ("grep", "-h", "--text", "-E", r"^[[:space:]]*(menu)?config[[:space:]]")
    found = git(repository, *words, treeish, "--", ":(glob)**/Kconfig*", check=False)
    if found.status > 1:
        raise CommandFailed(found.argv, found.status, found.output)
    return frozenset(_DEFINED.findall(found.output))
