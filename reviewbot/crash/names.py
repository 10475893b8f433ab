# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of the kernel's functions: how the compiler and the architectures change them, and which tell nothing."""

import functools
import re
from collections.abc import Iterable
from fnmatch import translate

from reviewbot.config import load_splats

_ENTRY = re.compile(
    r"__se_sys_|__do_sys_|SYSC_|SyS_|compat_SYSC_|compat_SyS_|_{2,4}sys_|ksys_|__x64_|__ia32_|__arm64_|__riscv_"
)
"""What the entries of a system call put before its name."""
_HALVES = re.compile(r"__(?:se|do)_(?:compat_)?sys_(\w+)$")


def plain(name: str) -> str:
    """`fuse_do_readpage.isra.0` and its other halves are one function; so are the two bodies of a system call."""
    name = name.split(".", 1)[0] or name
    return body[1] if (body := _HALVES.match(name)) else name


def system_call(name: str) -> str:
    """`__x64_sys_read` and `__ia32_sys_read` are `sys_read`, `ksys_read` is `read`; another name stays as it is."""
    return name[found.end() :] or name if (found := _ENTRY.match(name)) else name


@functools.cache
def matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Matches a name that one of the shell patterns matches."""
    return re.compile("|".join(translate(pattern) for pattern in patterns) or r"(?!)")


@functools.cache
def noise() -> re.Pattern[str]:
    """Functions that say nothing of where a crash is. Raises ConfigError."""
    return _listed(entry.functions for entry in load_splats().noise)


@functools.cache
def hard_noise() -> re.Pattern[str]:
    """Those of them that say nothing of it even when the crash is in one of them. Raises ConfigError."""
    return _listed(entry.functions for entry in load_splats().noise if not entry.soft)


@functools.cache
def dispatchers() -> re.Pattern[str]:
    """Functions that call what the kernel is asked for. Raises ConfigError."""
    return _listed(entry.functions for entry in load_splats().dispatchers)


@functools.cache
def tested() -> re.Pattern[str]:
    """Functions of what this project tests. Raises ConfigError."""
    return _listed(entry.functions for entry in load_splats().tested)


def bucket(name: str, of: str) -> str:
    """What all hangs (of="hang") or stalls (of="stall") in this function are called, or empty. Raises ConfigError."""
    return next((known for pattern, known, kind in _buckets() if kind == of and pattern.match(name)), "")


@functools.cache
def _buckets() -> tuple[tuple[re.Pattern[str], str, str], ...]:
    return tuple((matcher(entry.functions), entry.name, entry.of) for entry in load_splats().buckets)


def _listed(groups: Iterable[tuple[str, ...]]) -> re.Pattern[str]:
    return matcher(tuple(name for group in groups for name in group))
