# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees in, Artifacts out: build root, sandbox, one recipe per component, guest image, payload.

All that a tree can influence runs in the sandbox. Must not know: mails, tests, machines.
"""
