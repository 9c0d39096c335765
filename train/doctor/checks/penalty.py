"""Does the loss rise when the penalty on the weights is turned up?"""

import torch

from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.finding import Finding
from tombola.train.loop.learn.regularise import penalties

TURNED_UP = 1e-2
MODEST = 0.1  # share of the first loss that a penalty may well add


def check_penalty(material: Material) -> Finding:
    """The first loss without and with a strong L2 penalty; and what share the recipe's own penalties have."""
    trial = material.trial(plain=True)
    bare = sum(trial.first_losses(material.first_batch(augmented=False)).values())
    with torch.no_grad():
        strong = sum(part.item() for part in penalties(trial.network, l1=0.0, l2=TURNED_UP).values())
        settings = material.task.settings
        own = list(penalties(trial.network, l1=settings.l1, l2=settings.l2).items())
    if not strong > 0:
        return Finding(
            "penalty",
            "fault",
            f"the first loss stays {bare:.3g} with l2 = {TURNED_UP:g}: there is no weight to hold small; "
            "unfreeze a layer, or draw the first weights at random",
        )
    for name, part in own:
        if part.item() > bare:
            return Finding(
                "penalty",
                "warning",
                f"training.{name} = {getattr(settings, name):g} adds {part.item():.3g} to a first loss of "
                f"{bare:.3g} and would rule the training; try "
                f"{MODEST * bare / part.item() * getattr(settings, name):.1g}",
            )
    asked = " and ".join(f"training.{name} = {getattr(settings, name):g}" for name, _ in own)
    share = sum(part.item() for _, part in own)
    return Finding(
        "penalty",
        "ok",
        f"{asked} adds {share:.2g} to a first loss of {bare:.3g}, a modest part"
        if asked
        else f"the recipe has no training.l1 or l2; the weights would heed one (l2 = {TURNED_UP:g} would "
        f"lift the first loss from {bare:.3g} to {bare + strong:.3g})",
    )
