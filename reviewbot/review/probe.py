# SPDX-License-Identifier: GPL-2.0-or-later
"""What the compiler says a constant or a size is: the definitions alone, compiled in the sandbox.

Not the headers themselves: kernel-internal ones and C files do not compile by themselves. Each name gets a small file
with what it needs of its own file and component. Nothing is run: the value stands in the assembler's text, the way the
kernel's own asm-offsets are made.
"""

import hashlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from reviewbot.host.files import read_regular
from reviewbot.host.gate import Refused, take
from reviewbot.host.process import CommandTimeout, ToolMissing
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.review.expressions import Known, Unknown, value_of
from reviewbot.review.headers import Definition
from reviewbot.review.numbers import Files, Item

LIMIT = 180.0
"""Seconds for all of them."""
_MOST = 400
_CLOSURE = 200
_LONGEST = 64 << 10
_WORD = re.compile(r"(?:\b(?:struct|union)\s+)?[A-Za-z_]\w*")
_SAID = re.compile(r"^probed:\s+\.(quad|zero)\s+(-?\d{1,20})$", re.MULTILINE)
_PRELUDE = """\
#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>
#include <asm/ioctl.h>
#define __user
#define __packed __attribute__((packed))
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
"""


def measure(wanted: Mapping[Item, Files], sandbox: Sandbox | None, scratch: Path, log: Path) -> dict[Item, int]:
    """Values and sizes. Where the compiler gives none (or there is no sandbox) they are computed from the text."""
    sources = {item: text for item, files in wanted.items() if (text := probe_source(item, files))}
    compiled = _compile(sorted(set(sources.values()))[:_MOST], sandbox, scratch, log) if sandbox else {}
    found: dict[Item, int] = {}
    known: dict[tuple[str, str, str], Known] = {}
    for item, files in wanted.items():
        if (value := compiled.get(sources.get(item, ""))) is None:
            key = item[:3]
            known.setdefault(key, Known(_everything(files, item[2])))
            try:
                value = value_of(item[3], known[key])
            except Unknown:
                continue
        found[item] = value & 0xFFFF_FFFF_FFFF_FFFF
    return found


def _everything(files: Files, path: str) -> dict[str, Definition]:
    """All definitions of a component, this file's first."""
    found: dict[str, Definition] = {}
    for definitions in reversed(list(files.by_path.values())):
        found.update(definitions)
    found.update(files.by_path.get(path, {}))
    return found


def probe_source(item: Item, files: Files) -> str:
    """A C file whose assembler text holds the value; empty if it would need too much."""
    name, path = item[3], item[2]
    order: dict[str, str] = {}

    def need(definition: Definition, depth: int) -> None:
        if definition.name in order or depth > 30 or len(order) > _CLOSURE:
            return
        order[definition.name] = ""  # before what it needs, so that a loop ends
        for word in dict.fromkeys(_WORD.findall(definition.source)):
            for candidate in (" ".join(word.split()), word.split()[-1]):
                if candidate != definition.name and (other := files.find(candidate, path)):
                    need(other, depth + 1)
        del order[definition.name]
        order[definition.name] = definition.source

    start = files.find(name, path)
    if start is None:
        return ""
    need(start, 0)
    if len(order) > _CLOSURE or sum(map(len, order.values())) > _LONGEST:
        return ""
    expression = f"sizeof({name})" if start.kind == "struct" else f"({name})"
    body = "\n".join(dict.fromkeys(order.values()))
    return f"{_PRELUDE}{body}\nunsigned long long probed = {expression};\n"


def _compile(sources: list[str], sandbox: Sandbox, scratch: Path, log: Path) -> dict[str, int]:
    """Source -> value. One compiler call for all; a file that does not compile does not stop the others."""
    found: dict[str, int] = {}
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder, taken = Path(name) / "out", Path(name) / "taken"
        folder.mkdir()
        names = {hashlib.sha256(text.encode()).hexdigest()[:24]: text for text in sources}
        for key, text in names.items():
            (folder / f"{key}.c").write_text(text)
        try:
            sandbox.run(
                ["gcc", "-S", "-w", "-O0", "-std=gnu11", "-fmax-errors=1", *(f"{key}.c" for key in names)],
                binds={"/out": Bind(folder, writable=True)}, cwd="/out", log=log, timeout=LIMIT, check=False,
                memory=2 << 30, file_size=16 << 20, log_limit=1 << 20,
            )  # fmt: skip
            take(sandbox, folder, taken)
        except (CommandTimeout, ToolMissing, Refused):
            return {}
        for key, text in names.items():
            path = taken / f"{key}.s"
            said = read_regular(path, 1 << 20) if path.is_file() else ""
            if match := _SAID.search(said):
                found[text] = int(match[2]) if match[1] == "quad" else 0
    return found
