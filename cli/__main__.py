"""`python -m tombola.cli`, which `torchrun -m` needs to start several processes."""

from tombola.cli.main import run

run()
