"""`python -m tombola.cli`, which `torchrun -m` needs to start several processes."""

import os
import sys

# `-m` looks for modules in the current folder first, and what lies there is none of ours.
if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109
    del sys.path[0]

from tombola.cli.main import run

run()
