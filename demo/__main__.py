# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m demo`: the main job, for real, on a machine that reaches only its package mirrors."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from demo.inbox import serve
from demo.posting import Version, mails
from reviewbot.host.paths import data_dir
from reviewbot.model.errors import ReviewbotError

SITE = """\
# Made by the demo: sources from Debian's mirrors, the archive on this machine.
archive: {url}
components:
  kernel: {{provider: deb, package: linux-source-6.12}}
  libfuse: {{provider: deb, package: fuse3, suite: trixie}}
  e2fsprogs: {{provider: deb, package: e2fsprogs, suite: trixie}}
"""
LEGS = "ext4,fuse2fs"
# What each patch makes visible in the guest: proof of the leg, words in it, the component that made it so.
OBSERVED = (
    ("ext4", "fuse_init", "pages per request", "kernel"),
    ("fuse2fs", "server_version", "request header size", "libfuse"),
    ("fuse2fs", "server_version", "protocol-free helper", "libfuse"),
    ("fuse2fs", "server_version", "libfuse API", "e2fsprogs"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--one-more", metavar="WORD", default="", help="post version 2, with one more patch to fs/fuse")
    arguments = parser.parse_args()
    version = Version(2, arguments.one_more) if arguments.one_more else Version(1)
    posting = list(mails(version))
    with tempfile.TemporaryDirectory(prefix="reviewbot-demo-") as name:
        folder = Path(name)
        print(f"{len(posting)} mails, served by public-inbox on this machine", flush=True)
        with serve(posting, folder / "inbox") as url:
            site = folder / "site.yaml"
            site.write_text(SITE.format(url=url))
            command = [sys.executable, "-m", "reviewbot", "apply-and-test", version.top, "--site", str(site),
                       "--legs", LEGS, "--suites", "smoke"]  # fmt: skip
            print(f"$ reviewbot apply-and-test {version.top} --legs {LEGS} --suites smoke\n", flush=True)
            status = _call(command)
    if status == 130:
        return status
    seen = _observe() if status in (0, 1) else False
    _next_steps()
    return status or (0 if seen else 1)


def _call(command: list[str]) -> int:
    """Run it in the foreground; Ctrl-C is its business, we wait for its end."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(command, check=False, preexec_fn=lambda: signal.signal(signal.SIGINT, before)).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _observe() -> bool:
    """Was each patch there, in the guest? Prints one line per patch."""
    results = json.loads((data_dir() / "runs" / "latest" / "results.json").read_bytes())
    proofs = {leg["leg"]: leg["proofs"] for leg in results["legs"]}
    print("\nSeen in the guests:")
    good = True
    for leg, proof, words, component in OBSERVED:
        value = str(proofs.get(leg, {}).get(proof, ""))
        there = words in value
        good = good and there
        part = next((piece.strip() for piece in value.split(";") if words in piece), f"nothing with “{words}”")
        print(f"  {'✓' if there else '✗'} {component:<10} {leg}: {part}")
    return good


def _next_steps() -> None:
    tool = _tool()
    print("\nTry next:")
    print(f"  {tool} report latest                 # the report of this run")
    print(f"  {tool} post latest --to mail         # the answer to the thread (a dry run)")
    print(f"  {tool} plan MESSAGE-ID               # a series of yours: what would be tested")


def _tool() -> str:
    """How this user calls reviewbot from here."""
    script = Path(sys.executable).parent / "reviewbot"
    if not script.exists():
        return f"{Path(sys.executable).name} -m reviewbot"
    if os.environ.get("VIRTUAL_ENV"):
        return "reviewbot"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ReviewbotError as error:
        from reviewbot.cli.entry import report_error  # a fifth of a second

        sys.exit(report_error(error))
    except KeyboardInterrupt:
        sys.exit(130)
