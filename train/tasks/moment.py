"""When in a training something happens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """step: optimiser steps done before, in all; epoch: epochs done before; total_steps: those planned; turn:
    of a step in which parts learn one after another, which, from 0."""

    step: int
    epoch: int
    total_steps: int
    turn: int = 0
