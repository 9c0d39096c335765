"""When in a training something happens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """step: optimiser steps done before, in all; epoch: epochs done before; total_steps: those planned."""

    step: int
    epoch: int
    total_steps: int
