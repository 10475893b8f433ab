# SPDX-License-Identifier: GPL-2.0-or-later
"""What gdb and sanitisers say, read without a machine."""

from reviewbot.crash.sanitizers import backtrace


def test_of_a_server_that_hangs_the_backtrace_begins_with_its_frames() -> None:
    said = """\
gdb: warning: Couldn't determine a path for the index cache directory.
[Switching to thread 1 (Thread 0x7ffff7f5c100 (LWP 76))]
#0  0x00007ffff74a412b in ?? () from /lib/libc.so.6
#0  0x00007ffff74a412b in ?? () from /lib/libc.so.6
#1  0x000055555555a608 in op_destroy (p=<optimized out>) at /src/misc/fuse2fs.c:553

== all threads
#0  0x00007ffff74a412b in ?? () from /lib/libc.so.6
"""
    where, trace = backtrace(said)
    assert where == "op_destroy"
    assert trace.split("\n") == said.split("\n")[3:5]
