# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees in, Artifacts out: build root, sandbox, one recipe per component, guest image, payload.

All that a tree can influence runs in the sandbox. Must not know: mails, tests, machines.
"""

from reviewbot.build.components import needs
from reviewbot.build.errors import BaseFails, BuildFails
from reviewbot.build.lines import source_lines
from reviewbot.build.patches import blame, build_patches
from reviewbot.build.steps import build_all, build_components

__all__ = [
    "BaseFails",
    "BuildFails",
    "blame",
    "build_all",
    "build_components",
    "build_patches",
    "needs",
    "source_lines",
]
