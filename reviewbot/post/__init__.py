# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports of a run in, deliveries out, each at most once. Nothing leaves this machine unless told.

Must not know: how a report is made, or where its facts come from.
"""

from reviewbot.post.mail import MAIL, Delivery, Sender, mail, send_again
from reviewbot.post.outbox import Item, NotTaken, Outbox, State, outbox_file
from reviewbot.post.policy import Policy, load_policy

__all__ = [
    "MAIL", "Delivery", "Item", "NotTaken", "Outbox", "Policy", "Sender", "State", "load_policy", "mail", "outbox_file",
    "send_again",
]  # fmt: skip
