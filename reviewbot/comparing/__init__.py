# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of head in, a Comparison out: reruns on head and base, costs, mixed stacks, and who is to blame.

Everything runs through `legs`, in fresh machines, and is cached by its inputs. Must not know: mails, verdicts, reports.
"""

from reviewbot.comparing.blame import BuildAt, blame, changed_of
from reviewbot.comparing.costs import Costs, with_costs
from reviewbot.comparing.reruns import BROKEN, compare, entry_of, remember

__all__ = ["BROKEN", "BuildAt", "Costs", "blame", "changed_of", "compare", "entry_of", "remember", "with_costs"]
