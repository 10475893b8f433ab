# SPDX-License-Identifier: GPL-2.0-or-later
"""smoke's random operations, on a folder of this host: they agree with its filesystem, and see one that errs once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest import MODULES

# Neither the caches of this host nor its users are touched.
SCRIPT = """
import errno, os, sys
sys.path[:0] = sys.argv[1].split(":")
import guest
from smoke import trees, walks
for module in (trees, walks):
    module.folder = lambda name: place
    module.drop_caches = lambda kind=2: None
trees._Walk._chown = lambda self: None
place = sys.argv[2] + "/walk"
os.mkdir(place)
os.chmod(place, 0o755)
left = [60]
def once(fault, name):
    real = getattr(os, name)
    def call(*words, **more):
        left[0] -= 1
        return fault(real, *words, **more) if not left[0] else real(*words, **more)
    setattr(os, name, call)
exec(sys.argv[4])
try:
    print({"data": walks.data, "names": trees.names}[sys.argv[3]]())
except guest.Failed as why:
    print("Failed:", why)
"""


def walk(kind: str, place: Path, fault: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, MODULES, str(place), kind, fault],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_model_of_bytes_agrees_with_this_host(tmp_path: Path) -> None:
    assert walk("data", tmp_path).startswith("300 operations on ")
    assert (tmp_path / "walk" / "f").stat().st_size > 0


def test_the_model_of_names_agrees_with_this_host(tmp_path: Path) -> None:
    assert walk("names", tmp_path).startswith("300 operations, ")
    assert len(list(tmp_path.rglob("*"))) > 10


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("once(lambda real, handle, content, at: len(content), 'pwrite')", "write(2)"),  # lost
        ("once(lambda real, handle, content, at: real(handle, content, at + 1), 'pwrite')", "write(2)"),
        ("left = [5]; once(lambda real, path, size: real(path, size + 1), 'truncate')", "the size is"),
        ("left = [5]; once(lambda real, path, size: None, 'truncate')", "truncate(2)"),
        ("left = [1]; once(lambda real, *words: words[2], 'copy_file_range')", "copy_file_range(2)"),
        ("left = [3]; once(lambda real, handle, parts, at: sum(map(len, parts)), 'pwritev')", "O_DIRECT"),
    ],
)
def test_one_operation_on_bytes_that_errs_is_found(fault: str, words: str, tmp_path: Path) -> None:
    said = walk("data", tmp_path, fault)
    assert said.startswith("Failed: ") and words in said and "the last there: " in said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("left = [30]; once(lambda real, path, target: None, 'rename')", " /"),  # lost
        ("left = [9]; once(lambda real, path: None, 'unlink')", "entries of "),
        ("left = [2]; once(lambda real, path, mode: real(path, 0o700), 'chmod')", "mode, owner of "),
        (
            "left = [2]; once(lambda real, source, path: real(source, path) or real(path, path + 'x'), 'link')",
            "entries",
        ),
        ("left = [2]; once(lambda real, target, path: real(target + 'x', path), 'symlink')", "size of "),
        ("left = [30]; once(lambda real, path, name, value: real(path, name, value + b'x'), 'setxattr')", "attributes"),
        ("left = [9]; once(lambda real, path: (_ for _ in ()).throw(OSError(errno.EIO, 'x')), 'mkdir')", "got 'EIO'"),
    ],
)
def test_one_operation_on_names_that_errs_is_found(fault: str, words: str, tmp_path: Path) -> None:
    said = walk("names", tmp_path, fault)
    assert said.startswith("Failed: ") and words in said and "; the last: " in said
