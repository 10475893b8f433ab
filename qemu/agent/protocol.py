# SPDX-License-Identifier: GPL-2.0-or-later
"""What host and guest agree on: words of the control port, exit statuses of steps, a limit.

Both sides import this file: the host as `reviewbot.model.protocol`, which is a link to it.
The host says a JSON object with `op` a line, the agent one with `t` and the host's nonce.
"""

NOTRUN, DEATH = 77, 70
"""Exit statuses of a step: its test does not apply here; the filesystem's server died. 0 is PASS, others FAIL."""

HELLO, WARM, RUN, OFF = "hello", "warm", "run", "off"
"""What the host asks for: who is there; get ready to be saved; run this step; power off.

The agent repeats the first two.
"""
START, ALIVE, HANG, DONE, FINAL = "start", "alive", "hang", "done", "final"
"""What the agent says: a step begins, still runs, has reached its limit, has ended; nothing more will come."""

TAIL = 64 << 10
"""Bytes of a step's output, and of its kernel messages, that are told."""
