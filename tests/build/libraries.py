# SPDX-License-Identifier: GPL-2.0-or-later
"""A libfuse of two files, built by the recipe of the real one in seconds."""

from functools import partial
from pathlib import Path

from tests.build.commits import Series

OPTIONS = "".join(
    f"option('{name}', type: '{kind}')\n"
    for kind, names in (("boolean", ("examples", "tests", "useroot")), ("string", ("initscriptdir", "udevrulesdir")))
    for name in names
)
MESON = """\
project('libfuse3', ['c'], version: '1.0', default_options: ['warning_level=2'])
library('fuse3', 'lib/a.c', 'lib/b.c', version: '1.0', include_directories: include_directories('include'))
"""
SOURCE = '#include "fuse.h"\nint {0}(void)\n{{\n\treturn 0;\n}}\n'
FILES = {
    "meson.build": MESON,
    "meson_options.txt": OPTIONS,
    "include/fuse.h": "int a(void);\nint b(void);\n",
    "lib/a.c": SOURCE.format("a"),
    "lib/b.c": "static int old;\n" + SOURCE.format("b"),
}


def small_library(folder: Path) -> Series:
    """A series on this library, as yet without a patch; the library warns already."""
    start = Series.from_nothing(folder, "libfuse")
    start.patch("the library", {name: partial(str.__add__, text) for name, text in FILES.items()})
    return Series(start.repository, start.head, "libfuse")
