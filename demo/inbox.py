# SPDX-License-Identifier: GPL-2.0-or-later
"""A real public-inbox server on loopback, for the demo and for tests."""

import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from reviewbot.host.process import ToolMissing, background, run
from reviewbot.model.errors import InfraError

_ADDRESS = "demo@example.org"


@contextmanager
def serve(mails: Iterable[bytes], folder: Path) -> Iterator[str]:
    """Base URL of an inbox that holds these mails, for as long as the block lasts.

    folder: empty; holds the inbox. Raises ToolMissing without public-inbox, InfraError when it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = {"HOME": str(folder), "PI_CONFIG": str(folder / "config"), "PI_DIR": str(folder)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/demo"
    run(["public-inbox-init", "-V2", "demo", folder / "inbox", url, _ADDRESS], env=home)
    (folder / "config").open("a").write("[publicinboxmda]\n\tspamcheck = none\n")
    _fill(mails, folder / "inbox", home)
    with (folder / "httpd.log").open("wb") as log:
        listen = ["public-inbox-httpd", "-l", f"127.0.0.1:{port}", "-W0"]
        with background(listen, env=home, log=log):
            _wait(port, folder / "httpd.log")
            yield url


def deliver(mail: bytes, home: Mapping[str, str]) -> None:
    """Put one mail into the inbox, as a mail server would."""
    run(["public-inbox-mda", "--no-precheck"], env={**home, "ORIGINAL_RECIPIENT": _ADDRESS}, stdin=mail)


def _fill(mails: Iterable[bytes], inbox: Path, home: Mapping[str, str]) -> None:
    """Many mails at once, in public-inbox's own format: one by one each costs a fifth of a second."""
    commits = [
        b"commit refs/heads/master\ncommitter <> %d +0000\ndata 0\nM 100644 inline m\ndata %d\n%s\n"
        % (int(time.time()), len(mail), mail)
        for mail in mails
    ]
    if commits:
        store = inbox / "git" / "0.git"
        run(["git", "--git-dir", store, "fast-import", "--quiet"], env=home, stdin=b"".join(commits))
        run(["public-inbox-index", inbox], env=home)


def installed() -> bool:
    """Whether public-inbox is on this machine."""
    try:
        run(["public-inbox-init", "--help"], check=False, timeout=20)
    except ToolMissing:
        return False
    return True


def _wait(port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise InfraError(f"public-inbox-httpd does not listen: {log.read_text(errors='replace')[-200:]}")
