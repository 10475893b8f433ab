# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite in the guest: `run.py smoke CHECK`. Each check leaves the filesystem mounted and consistent."""

from guest import conclude

from smoke import costs, disk, features, files, load, metadata, rights, whole

CHECKS = {
    name: check
    for module in (costs, disk, features, files, load, metadata, rights, whole)
    for name, check in module.CHECKS.items()
}


def main(words: list[str]) -> int:
    return conclude(CHECKS[words[0]])
