# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds a posting with an attack in it, as whoever starts this: `python -m tests.hostile.build FOLDER < WISHES`.

The posting changes a small library that is built as libfuse is, by its recipe, in the real build root. The attack is a
shell script that runs three times: when meson configures, while ninja builds, and when it installs.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.build.components import RECIPES
from reviewbot.build.recipe import run_recipe
from reviewbot.host.limits import Limits, Rules, use_rules
from reviewbot.host.process import LimitExceeded
from reviewbot.model.artifacts import Artifact
from reviewbot.model.errors import ReviewbotError
from reviewbot.store import Store
from tests.build.commits import Edit, Series

MESON = """\
project('libfuse3', ['c'], version: '3.99')
library('fuse3', 'lib/a.c', version: '3.99.0', soversion: '4', install: true)
executable('fusermount3', 'lib/mount.c', install: true)
install_headers('lib/fuse.h', subdir: 'fuse3')
import('pkgconfig').generate(name: 'fuse3', description: 'a library', version: '3.99')
"""
OPTIONS = "".join(
    f"option('{name}', type: '{kind}')\n"
    for kind, names in (("boolean", ("examples", "tests", "useroot")), ("string", ("initscriptdir", "udevrulesdir")))
    for name in names
)
ATTACKED = """\
run_command('sh', meson.project_source_root() / 'attack.sh', 'configure', check: false)
custom_target('attack', output: 'attack.txt', build_by_default: true, capture: true,
	command: ['sh', meson.project_source_root() / 'attack.sh', 'build'])
meson.add_install_script('sh', meson.project_source_root() / 'attack.sh', 'install')
"""


@dataclass(frozen=True, slots=True)
class Wishes:
    attack: str
    buildroot: dict[str, object]
    """The artifact."""
    limits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Built:
    facts: dict[str, object] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """Of the artifact, and what their modes are."""
    found: str = ""
    """What the attack wrote into its product."""
    log: int = 0
    exceeded: str = ""
    error: str = ""


def _whole(text: str) -> Edit:
    return lambda _: text


def main(folder: Path, wishes: Wishes) -> Built:
    use_rules(Rules(Limits(**wishes.limits)))
    series = Series.from_nothing(folder, "libfuse")
    files = {
        "meson.build": MESON, "meson_options.txt": OPTIONS, "lib/fuse.h": "int a(void);\n",
        "lib/a.c": "int a(void)\n{\n\treturn 0;\n}\n", "lib/mount.c": "int main(void)\n{\n\treturn 0;\n}\n",
    }  # fmt: skip
    series.patch("the library", {name: _whole(text) for name, text in files.items()})
    attacked = {"meson.build": MESON + ATTACKED, "attack.sh": wishes.attack}
    series.patch("an attack", {name: _whole(text) for name, text in attacked.items()})
    log = folder / "log"
    exceeded = error = ""
    try:
        root = Artifact.model_validate(wishes.buildroot)
        made = run_recipe(RECIPES["libfuse"], Store(folder / "cache"), series.tree(), root, {}, log)
    except LimitExceeded as caught:
        exceeded = caught.what
    except ReviewbotError as caught:
        error = str(caught)
    else:
        found = sorted(path for path in Path(made.path).rglob("*") if path.is_file())
        names = tuple(f"{path.relative_to(made.path)} {path.stat().st_mode & 0o7777:o}" for path in found)
        told = Path(made.path, "root", "stack", "share", "found")
        return Built(dict(made.facts), names, told.read_text() if told.exists() else "", log.stat().st_size)
    return Built(log=log.stat().st_size, exceeded=exceeded, error=error)


if __name__ == "__main__":
    built = main(Path(sys.argv[1]), Wishes(**json.load(sys.stdin)))
    json.dump(dataclasses.asdict(built), sys.stdout)
