# SPDX-License-Identifier: GPL-2.0-or-later
"""Do the repositories agree on a part of the protocol, as they are at head? Asked before anything is booted."""

from pathlib import Path

from reviewbot.model.trees import Trees
from reviewbot.review.blobs import read
from reviewbot.review.copies import Copy, Place, compare, load_rules
from reviewbot.review.headers import Definitions, definitions


def disagreement(trees: Trees, word: str) -> str:
    """The first name with this word on which a header and its copy differ, in one line; empty: none is known.

    What only one of them has is no disagreement: a side may be newer.
    """
    for entry in load_rules().copies:
        master, copy = (_at_head(trees, place) for place in (entry.master, entry.copy_))
        for difference in compare(master, copy, entry.only):
            if difference.kind in ("value", "layout") and word in difference.name.lower():
                return _words(entry, difference.name, difference.master.text, difference.copy.text)
    return ""


def _at_head(trees: Trees, place: Place) -> Definitions:
    tree = trees.get(place.component)
    if tree is None:
        return {}
    content = read(Path(tree.repository), tree.head_commit, [place.path]).get(place.path, b"")
    return definitions(content.decode(errors="replace"))


def _words(entry: Copy, name: str, left: str, right: str) -> str:
    sides = " and ".join(side.component for side in (entry.master, entry.copy_))
    return f"{sides} do not agree on {name}: `{left[:80]}` in {entry.master.path}, `{right[:80]}` in {entry.copy_.path}"
