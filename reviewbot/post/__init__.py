# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports of a run in, deliveries out, each at most once. Nothing leaves this machine unless told.

Must not know: how a report is made, or where its facts come from.
"""

from reviewbot.post.b4 import review_branch, texts_for, write_texts
from reviewbot.post.github import GITHUB, Github, github_settings, github_target, put_github
from reviewbot.post.kcidb import KCIDB, Kcidb, kcidb_settings, put_submission
from reviewbot.post.mail import MAIL, Delivery, Sender, mail, send_again
from reviewbot.post.outbox import Item, NotTaken, Outbox, State, outbox_file
from reviewbot.post.patchwork import PATCHWORK, Patchwork, patchwork_settings, put_checks
from reviewbot.post.policy import Policy, load_policy

__all__ = [
    "GITHUB",
    "KCIDB",
    "MAIL",
    "PATCHWORK",
    "Delivery",
    "Github",
    "Item",
    "Kcidb",
    "NotTaken",
    "Outbox",
    "Patchwork",
    "Policy",
    "Sender",
    "State",
    "github_settings",
    "github_target",
    "kcidb_settings",
    "load_policy",
    "mail",
    "outbox_file",
    "patchwork_settings",
    "put_checks",
    "put_github",
    "put_submission",
    "review_branch",
    "send_again",
    "texts_for",
    "write_texts",
]
