"""The learning rate as a function of the step alone, so that resuming needs no scheduler state."""

import math

LONGEST_WARMUP = 0.2  # share of all steps


def learning_rate_factor(step: int, *, total_steps: int, warmup_steps: int, final_rate: float) -> float:
    """Factor in [0, 1] on the peak rate at optimiser step `step` (from 0): linear warm-up, then half a cosine
    down to final_rate (Loshchilov & Hutter 2017, equation 5, without restarts).

    Of a short training no more than LONGEST_WARMUP is warm-up, or it would end before its rate is reached.
    """
    warmup_steps = min(warmup_steps, int(LONGEST_WARMUP * total_steps))
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return final_rate + (1 - final_rate) * (1 + math.cos(math.pi * progress)) / 2
