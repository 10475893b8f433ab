# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the guest's Python programs are, for tests that run them on this host."""

import os

from reviewbot.host.data import data_path

MODULES = os.pathsep.join(str(data_path(f"qemu/{folder}")) for folder in ("agent", "suites"))
"""What `sys.path` begins with in the guest; `PYTHONPATH` of such a program here."""
