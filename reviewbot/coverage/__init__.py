# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees, artifacts and the counters of machines in, Coverage and an lcov tracefile out.

gcov itself runs in the sandbox: it reads what the guest sent. Must not know: mails, tests, machines, verdicts.
"""

from reviewbot.coverage.measure import measure

__all__ = ["measure"]
