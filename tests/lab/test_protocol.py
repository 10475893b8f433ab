# SPDX-License-Identifier: GPL-2.0-or-later
"""Host and guest use one file of protocol words, and shell programs of the guest the same exit codes."""

import re
from pathlib import Path

from reviewbot.host.data import data_path
from reviewbot.model import protocol


def test_the_host_imports_the_file_that_the_guest_gets() -> None:
    assert Path(protocol.__file__).read_bytes() == data_path("qemu/agent/protocol.py").read_bytes()


def test_shell_programs_end_with_the_exit_codes_of_the_protocol() -> None:
    codes = {
        int(code) for code in re.findall(r"^\s+exit (\d+)$", data_path("qemu/suites/fstests/run").read_text(), re.M)
    }
    assert codes - {0, 1} == {protocol.DEATH}
