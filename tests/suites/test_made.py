# SPDX-License-Identifier: GPL-2.0-or-later
"""What is taken from a guest's words about the filesystem that mke2fs made, and about FUSE_INIT."""

import re
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from reviewbot.host.data import data_path
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Filesystem
from reviewbot.suites import smoke
from reviewbot.suites.made import MOST, made
from tests.guest import MODULES
from tests.played import LEG

SAID = """mke2fs 1.47.2
made features ext_attr 64bit metadata_csum FEATURE_I31
made mount-options user_xattr acl
made inode-size 256
made block-size 4096
"""


def test_a_line_per_kind_of_what_was_made() -> None:
    assert made(SAID) == Filesystem(
        features=("ext_attr", "64bit", "metadata_csum", "FEATURE_I31"),
        mount_options=("user_xattr", "acl"),
        inode_size=256,
        block_size=4096,
    )


def test_what_is_not_said_is_not_known() -> None:
    assert made("nothing of it") is None
    assert made("made features \nmade inode-size 256\n") is None, "dumpe2fs says it in other words"
    said = "made features 64bit\nmade mount-options (none)\nmade inode-size \nmade block-size 1 KiB\n"
    assert made(said) == Filesystem(features=("64bit",))


@given(st.text())
def test_no_words_break_the_reader(said: str) -> None:
    found = made(f"made features {said}\nmade inode-size {said}\n{said}")
    assert found is None or Filesystem.model_validate_json(found.model_dump_json()) == found


def test_a_guest_cannot_make_up_features_without_end() -> None:
    found = made("made features " + " ".join(map(str, range(1000))) + f"\nmade inode-size {'9' * 30}\n")
    assert found and (len(found.features), found.inode_size) == (MOST, None)


def test_only_the_checks_of_new_filesystems_and_of_fuse_init_tell_of_features() -> None:
    names = ("mkfs", "negotiation", "files")
    replies = [StepReply(name=f"smoke/{one}", status="done", exit_status=0, output=SAID) for one in names]
    assert [test.test for test in smoke.results(LEG, replies) if test.made] == ["mkfs", "negotiation"]


NAMES = """
import struct, sys
sys.path[:0] = sys.argv[1].split(":")
from smoke import negotiation
request = bytes(40) + struct.pack("IIIII", 7, 41, 131072, 1 << 0 | 1 << 13 | 1 << 30, 1 << 5 | 1 << 31)
answer = bytes(16) + struct.pack("IIIIHHIIHHI", 7, 40, 9000, 1 << 13, 12, 9, 4096, 1, 32, 0, 0) + bytes(28)
print("made features", *negotiation._kernel_names(request), *negotiation._server_names(answer))
print("made features", *negotiation._server_names(answer[:36]))
"""


def test_fuse_init_is_told_by_the_names_of_its_flags_and_by_powers_of_two() -> None:
    done = subprocess.run([sys.executable, "-S", "-c", NAMES, MODULES], capture_output=True, text=True, check=True)
    whole, short = done.stdout.splitlines()
    kernel = ["ASYNC_READ", "DO_READDIRPLUS", "INIT_EXT", "PASSTHROUGH", "bit-63"]
    kernel += [f"max_readahead-{1 << bit}" for bit in range(12, 18)]
    server = ["DO_READDIRPLUS", "max_readahead-4096", "max_readahead-8192", "max_write-4096"]
    found = made(whole)
    assert found and list(found.features) == [
        *(f"kernel.{one}" for one in kernel),
        *(f"server.{one}" for one in server),
    ]
    assert made(short) == Filesystem(features=tuple(f"server.{one}" for one in server[:3]))  # of an old library


def test_the_guest_says_the_kinds_that_are_read() -> None:
    source = data_path("qemu/suites/smoke/disk.py").read_text()
    kinds = re.findall(r'^    "([a-z-]+)": "[A-Z]', source, re.MULTILINE)
    assert set(kinds) == {"features", "mount-options", "inode-size", "block-size"}
