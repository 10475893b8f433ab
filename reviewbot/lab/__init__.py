# SPDX-License-Identifier: GPL-2.0-or-later
"""GuestJob in, JobReply out: QEMU machine, guest channels, accelerator policy.

Must not know: what a step means; suites give steps and read replies.
"""
