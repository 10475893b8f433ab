# SPDX-License-Identifier: GPL-2.0-or-later
"""What smoke says of the filesystem that mke2fs made, and of what kernel and server negotiate, taken with distrust."""

import re

from reviewbot.model.results import Filesystem

MOST = 100
"""Features; the superblock has room for 96."""
_LINE = re.compile(r"^made (features|mount-options|inode-size|block-size) (.{0,4000})$", re.MULTILINE)
_NAME = re.compile(r"[\w.-]{1,40}", re.ASCII)
_SIZE = re.compile(r"\d{1,9}", re.ASCII)


def made(output: str) -> Filesystem | None:
    """From lines `made features NAME…`, `made mount-options NAME…`, `made inode-size BYTES`, `made block-size BYTES`;
    None without the first, or when it is empty. `(none)` is no name.
    """
    said = dict(reversed(_LINE.findall(output)))
    if not said.get("features", "").strip():
        return None
    return Filesystem(
        features=_names(said["features"]),
        mount_options=_names(said.get("mount-options", "")),
        inode_size=_size(said.get("inode-size", "")),
        block_size=_size(said.get("block-size", "")),
    )


def _names(words: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words.split() if _NAME.fullmatch(word)))[:MOST]


def _size(word: str) -> int | None:
    return int(word) if _SIZE.fullmatch(word) else None
