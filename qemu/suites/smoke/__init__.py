# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite in the guest: `run.py smoke CHECK`. Each check leaves the filesystem mounted and consistent."""

from guest import FAIL, conclude

from smoke import calls, costs, disk, features, files, load, metadata, negotiation, rights, trees, waits, walks, whole

CHECKS = {
    name: check
    for module in (calls, costs, disk, features, files, load, metadata, negotiation, rights, trees, waits, walks, whole)
    for name, check in module.CHECKS.items()
}


def main(words: list[str]) -> int:
    status = conclude(CHECKS[words[0]])
    if status == FAIL:
        whole.note_failed(words[0])
    return status
