# SPDX-License-Identifier: GPL-2.0-or-later
"""Every attack on the box is made on a box of root and on one of an ordinary user."""

import shutil
from collections.abc import Iterator

import pytest

from tests.hostile.callers import Caller, root_calls, user_calls


@pytest.fixture(scope="module", params=["root", "user"])
def caller(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    calls = {"root": root_calls, "user": user_calls}[request.param]
    with calls(tmp_path_factory.mktemp("caller")) as found:
        yield found
