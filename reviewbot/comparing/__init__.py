# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of head in, a Comparison out: reruns on head and base, costs, mixed stacks, and who is to blame.

Everything runs through `legs`, in fresh machines, and is cached by its inputs. Must not know: mails, verdicts, reports.
"""

from reviewbot.comparing.blame import blame
from reviewbot.comparing.costs import with_costs
from reviewbot.comparing.reruns import compare, remember, to_compare, uncompared

__all__ = ["blame", "compare", "remember", "to_compare", "uncompared", "with_costs"]
