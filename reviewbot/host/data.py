# SPDX-License-Identifier: GPL-2.0-or-later
"""Find the data files that ship with the package."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def data_path(name: str) -> Path:
    """Folder or file below one of the shipped data folders: `kconfigs`, `qemu/agent`, `stacks/fuse.yaml`.

    In a wheel they live in `reviewbot/_data`, in a checkout beside the package.
    Raises FileNotFoundError when it is in neither.
    """
    for root in (_PACKAGE / "_data", _PACKAGE.parent):
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"data file {name} is not installed with reviewbot")
