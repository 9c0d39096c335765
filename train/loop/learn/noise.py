"""What is random about a step."""

import torch

# 2³² by the golden ratio: processes lie far apart, in the lower 32 bits too, which are all that a CPU heeds.
BETWEEN_PROCESSES = 0x9E3779B1


def seed_noise(seed: int, step: int, process: int = 0) -> None:
    """Seed what a network draws in a step (dropout, say), so that it repeats after a resume and differs from
    step to step and from process to process, each of which has pictures of its own."""
    seed = seed * 1_000_003 + step + process * BETWEEN_PROCESSES
    torch.default_generator.manual_seed(seed)
    # `torch.manual_seed` keeps the call and its stack for every device that is not there, at every step.
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
