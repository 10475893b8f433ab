# SPDX-License-Identifier: GPL-2.0-or-later
"""Why fstests' `check` counts a test as failed, from its words and those of the test's programs."""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from reviewbot.host.data import data_path
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Fsck
from reviewbot.suites.outcome import internal, kernel

DMESG = "something found in dmesg"
_FSCK = re.compile(
    r"^e2fsck -n of (TEST_DEV|SCRATCH_DEV) after the test: status (\d{1,3})(?:, last clean after (\S{0,80}))?\n"
    r"((?:    .*\n)*)",
    re.MULTILINE,
)
"""As our guest programs print it after what `check` said."""
_FSCK_SAID = 2048
_NUMBER = re.compile(r"\d+")
_TOLD = re.compile(r"^told in (out\.bad|bad|full): (.+)$", re.MULTILINE)
"""The same: lines of the test's own files that match `qemu/suites/fstests/telling`."""
_LOOKS = re.compile(
    r"!!! (?P<bang>.+)|\b_(?P<look>(?:check|repair|remount|test|scratch)_?\w*: .+?)(?: \(see .*\))?$", re.MULTILINE
)
"""What `check` complains of itself: a mount, kmemleak, a repair."""
_KNOWN_LOOKS = re.compile(r"check_dmesg: |.*is inconsistent|.*has dirty log")
_TOOL = re.compile(r"(?:mke2fs|e2fsck|mount|umount|(?:mkfs|fsck|mount|umount)\.\S+): ")
_BANNER = re.compile(r"our local |check: |\w+ +-- |mke2fs \d")
"""What `check` and mke2fs print in any case."""
_NO_TOOL = re.compile(r"mkfs|mount|inconsistent|TEST_DEV|SCRATCH_DEV", re.IGNORECASE)
_DULL = re.compile(r"Seed set to |main: filesystem does not support |seed = |fsx -|\[?/.*fsx |Using |operations? ?:")
"""What programs print before they have found anything."""


def failure(test: str, reply: StepReply) -> str:
    """Why `check` counts a test as failed, in one line: the weightiest of what it said."""
    said = kernel(reply)
    complained = complaints(reply)
    found = [f"kernel: {said}" if said and one == DMESG else one for one in complained]
    if said and DMESG not in complained:
        found.append(f"kernel: {said}")
    return ("; ".join(found)[:300] or _last_words(test, reply.output) or "check gives no reason") + internal(reply)


def not_started(output: str) -> str:
    """What keeps `check` from running any test of this filesystem: it cannot be made, mounted or checked; or empty.

    The words of the program that failed tell more than those of `check` around them.
    """
    words = [line.strip() for line in output.splitlines() if line.strip()]
    own = next((line for line in words if line.startswith("check: failed to ")), "")
    said = next((line for line in words if _TOOL.match(line)), "")
    if said:
        return said[:250]
    if own:
        before = words[max(0, words.index(own) - 1)]  # of a program that does not name itself, as mke2fs of its options
        return own if _BANNER.match(before) else f"{own}: {before}"[:250]
    return next((line[:250] for line in words if _NO_TOOL.search(line) and " -- " not in line), "")


_BY_FSCK = re.compile(r"_check_\w*filesystem: filesystem on \S+ is inconsistent|\(see \S+ for details\)$")


def complaints(reply: StepReply) -> list[str]:
    """All that `check` holds against a test, the weightiest first."""
    test = reply.name.removeprefix("fstests/")
    output = _of_test(test, reply.output)
    found = []
    if match := re.search(r"filesystem on (\S+) (is inconsistent|has dirty log)", output):
        said = [_inconsistent(fsck) for fsck in checked(reply) if fsck.status]
        found += said or [f"{match[0]} after the test"]
    if "_check_dmesg: something found in dmesg" in output:
        found.append(DMESG)
    looks = [look for match in _LOOKS.finditer(output) if not _KNOWN_LOOKS.match(look := _look(match))]
    found += [look for look in looks if not (found and look.startswith("repair_test_fs"))]
    if "[dumped core]" in output:
        found.append("dumped core")
    if found and _ended_by_fsck(output):
        return list(dict.fromkeys(found))
    if match := re.search(r"\[failed, exit status (\d+)\]", output):
        found.append(f"exit status {match[1]}")
    if "output mismatch" in output:
        found.append(_mismatch(output))
    elif told := _TOLD.search(output):
        found.append(told[2][:200])
    if "no qualified output" in output:
        found.append("no golden output")
    return list(dict.fromkeys(found))


def _of_test(test: str, output: str) -> str:
    """Without what `check` said before the test: it looks at what other tests left."""
    begin = re.search(rf"^{re.escape(test)}\b", output, re.MULTILINE)
    return output[begin.start() :] if begin else output


def _look(match: re.Match[str]) -> str:
    return ((match["bang"] and f"!!! {match['bang']}") or match["look"] or "").strip()[:200]


def _last_words(test: str, output: str) -> str:
    """The last line between the test's name and its verdict."""
    said = re.split(r"^(?:Ran|Failures):", _of_test(test, output), maxsplit=1, flags=re.MULTILINE)[0]
    first, *more = said.splitlines() or [""]
    words = [re.sub(r"^\S+\s+(?:\d+s(?: \.\.\.)?)?", "", first), *more]
    return next((line.strip()[:250] for line in reversed(words) if line.strip(" .")), "")


def checked(reply: StepReply) -> tuple[Fsck, ...]:
    """The devices that were checked after the test, the last word on each; at most two."""
    found = {}
    for device, status, clean_after, said in _FSCK.findall(reply.output + "\n"):
        lines = [line.strip() for line in said.splitlines()]
        words = "\n".join(_few_of_each(line for line in lines if line))[:_FSCK_SAID]
        found[device] = Fsck(device=device, status=int(status), said=words, clean_after=clean_after)
    return tuple(found.values())


def _few_of_each(lines: Iterable[str]) -> Iterator[str]:
    """The first three of each kind: hundreds of one kind must not leave the others without room."""
    seen: Counter[str] = Counter()
    for line in lines:
        kind = _NUMBER.sub("#", line)
        seen[kind] += 1
        if seen[kind] <= 3:
            yield line


def _inconsistent(fsck: Fsck) -> str:
    """`e2fsck finds TEST_DEV inconsistent: Inode 12 ref count is 3, should be 2` in one line."""
    words = next((line for line in fsck.said.splitlines() if "is mounted" not in line), f"status {fsck.status}")
    since = f" (last clean after {fsck.clean_after})" if fsck.clean_after else ""
    return f"e2fsck finds {fsck.device} inconsistent: {words[:160]}{since}"


def diff_of(output: str) -> str:
    """The golden output against the test's own, as `check` prints it, without its indentation; or empty."""
    lines = output.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith("    --- ")), None)
    if start is None:
        return ""
    found = []
    for line in lines[start:]:
        if line.startswith("    (Run 'diff") or (line and not line.startswith("    ")):
            break
        found.append(line[4:])
    while found and found[-1] in ("...", ""):
        found.pop()
    return "\n".join(found)


def _extra(output: str) -> list[str]:
    """What the test printed and its golden output does not have."""
    return [line[1:].strip() for line in diff_of(output).splitlines()[2:] if line.startswith("+") and line[1:].strip()]


def _ended_by_fsck(output: str) -> bool:
    """Whether it checked its filesystem itself and ended there: its status and what it did not print say no more."""
    extra = _extra(output)
    return bool(extra) and all(_BY_FSCK.match(line) for line in extra) and not _TOLD.search(output)


def _mismatch(output: str) -> str:
    """The line that tells most: of what a program found out, else of the diff."""
    body = diff_of(output).splitlines()[2:]
    extra = _extra(output)
    told = [line for _, line in _TOLD.findall(output)]
    for line in (*(line for line in extra if _telling().search(line)), *told):
        return f"unexpected output: {line[:200]}"
    if extra:
        return f"unexpected output: {next((line for line in extra if not _DULL.match(line)), extra[0])[:200]}"
    missing = next((line[1:].strip() for line in body if line.startswith("-") and line[1:].strip()), "")
    return f"missing output: {missing[:200]}" if missing else "output mismatch"


@functools.cache
def _telling() -> re.Pattern[str]:
    lines = data_path("qemu/suites/fstests/telling").read_text().splitlines()
    return re.compile("|".join(f"(?:{line})" for line in lines if not line.startswith("#")))
