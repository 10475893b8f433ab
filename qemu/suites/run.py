# SPDX-License-Identifier: GPL-2.0-or-later
"""`python3 -S run.py SUITE CHECK…`: a start so small that nothing is lost when it is compiled again each time.

/stack is read-only; PYTHONPYCACHEPREFIX lets the modules it imports be compiled once per boot.
"""

import sys
from importlib import import_module

sys.path.append("/stack/agent")  # suites share the agent's protocol and limits
sys.exit(import_module(sys.argv[1]).main(sys.argv[2:]))
