# SPDX-License-Identifier: GPL-2.0-or-later
"""The corpus says what it holds: enough of each kind, and each guilty patch is there."""

import pytest

from tests.planted import corpus


def test_there_are_enough_of_each_kind() -> None:
    kinds = [corpus.load(name).kind for name in corpus.names()]
    assert kinds.count("defect") >= 12
    assert kinds.count("harmless") >= 8


@pytest.mark.parametrize("name", corpus.names())
def test_a_posting_names_patches_that_it_has(name: str) -> None:
    planted = corpus.load(name)
    assert corpus.components(name)
    assert bool(planted.guilty) == (planted.kind == "defect")
    for component, number in planted.guilty.items():
        assert 1 <= number <= len(corpus.patches(name, component))
    assert corpus.as_mbox(name).count(b"Message-ID:") == 1 + sum(
        1 + len(corpus.patches(name, component)) for component in corpus.components(name)
    )


@pytest.mark.parametrize("name", [name for name in corpus.names() if corpus.load(name).joins])
def test_postings_that_are_joined_are_of_one_kind_and_change_other_components(name: str) -> None:
    planted = corpus.load(name)
    joined = [corpus.load(one) for one in planted.joins]
    assert {one.kind for one in joined} == {planted.kind}
    assert planted.guilty == {component: number for one in joined for component, number in one.guilty.items()}
    assert len(corpus.components(name)) == sum(len(corpus.components(one)) for one in planted.joins)
