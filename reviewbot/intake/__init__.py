# SPDX-License-Identifier: GPL-2.0-or-later
"""Message-ID or mbox in, Posting out: fetch, thread tree, parts, routing.

Out: a `Posting` and the bytes of its mails, keyed by Message-ID.
Must not know: repositories, builds, machines.
"""
