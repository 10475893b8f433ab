# SPDX-License-Identifier: GPL-2.0-or-later
"""Several writers at once, with verification of what they wrote. Bounded by operations: seconds mean little here."""

from guest import Failed, folder, run


def fio() -> None:
    """Two threads of random writes in two files; fio reads all back and compares checksums."""
    place = folder("fio")
    _run(
        "fio", "--name=verify", f"--directory={place}", "--thread", "--numjobs=2", "--rw=randwrite", "--bs=4k",
        "--size=1m", "--ioengine=psync", "--fallocate=none", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
        "--fsync=64", "--end_fsync=1", "--randrepeat=1", "--group_reporting",
    )  # fmt: skip


def stress() -> None:
    """stress-ng's file stressors at the same time, each verifying its own work."""
    place = folder("stress")
    _run(
        "stress-ng", "--temp-path", place, "--verify", "--timeout", "60s", "--no-rand-seed",
        "--hdd", "1", "--hdd-bytes", "1m", "--hdd-write-size", "32k", "--hdd-ops", "64",
        "--rename", "1", "--rename-ops", "150",
        "--dentry", "1", "--dentries", "64", "--dentry-ops", "128",
        "--seek", "1", "--seek-size", "1m", "--seek-ops", "64",
    )  # fmt: skip


def _run(*argv: str) -> None:
    done = run(*argv, check=False)
    print(done.stdout[-3000:], end="")
    if done.returncode:
        words = [line for line in done.stdout.splitlines() if "fail" in line or "verify" in line or "error" in line]
        last = words[0] if words else (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise Failed(f"{argv[0]} ended with status {done.returncode}: {last.strip()}")


CHECKS = {"fio": fio, "stress": stress}
