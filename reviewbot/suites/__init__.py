# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg in, GuestSteps out; StepReplies in, TestResults out.

One module per suite: `smoke`, `fstests`. Must not know: QEMU, or how a step reached the guest.
"""
