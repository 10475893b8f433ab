# SPDX-License-Identifier: GPL-2.0-or-later
"""One subscriber for all stories of a module."""

from collections.abc import Iterator

import pytest
import yaml

from demo.inbox import installed, serve
from tests.repos import git
from tests.stories.subscriber import LIBRARY, Subscriber, history, kernel_of, served, site_of
from tests.trees.series import NUMBERED, edited, new_repository, write


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subscriber]:
    if not installed():
        pytest.skip("public-inbox is not installed")
    folder = tmp_path_factory.mktemp("stories")
    kernel = kernel_of(folder / "kernel")
    libfuse = new_repository(folder / "libfuse", {LIBRARY: NUMBERED})
    git(libfuse, "tag", "v1")
    git(libfuse, "checkout", "-q", "-b", "topic")
    write(libfuse, {LIBRARY: edited(20)}, "lib: topic", day=2)
    git(libfuse, "checkout", "-q", "master")
    mails = history(kernel, libfuse)
    for branch in ("gone", "stuck", "merged", "versions"):
        git(kernel, "branch", "-q", "-D", branch)
    git(kernel, "tag", "-d", "unreachable")
    git(kernel, "clone", "-q", "--bare", str(kernel), str(folder / "served" / "pulls.git"))
    with served(folder / "served") as pulls, serve(mails, folder / "inbox") as archive:
        found = Subscriber(folder, archive, f"{pulls}/pulls.git")
        (folder / "site.yaml").write_text(yaml.safe_dump(site_of(found)))
        yield found
