# SPDX-License-Identifier: GPL-2.0-or-later
"""Shards in, their results out, by hosts that an engine lends: processes here, Slurm, Kubernetes, GitHub Actions.

One coordinator hands out, takes in and checks what came; an engine is a module that only knows how to submit, ask,
fetch and cancel. What a worker says is a stranger's word. Must not know: postings, trees, verdicts.
"""
