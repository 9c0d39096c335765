"""What reaches the first layer that has weights: is it normalised?"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.finding import Finding

# Normalised is mean 0 and deviation 1. Pixels as 0..1 are near enough to train, as 0..255 they are not.
FAR_MEAN, WIDE, NARROW = 5.0, 5.0, 0.02
OFF_MEAN, BROAD, SLIM = 1.5, 2.5, 0.1

NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


def check_inputs(material: Material) -> Finding:
    """Mean and standard deviation over all that the first layer sees of the first batch."""
    trial, batch = material.trial(plain=True), material.first_batch(augmented=False)
    found = first_input(trial.network, lambda: trial.first_losses(batch))
    if found is None:
        return Finding("inputs", "skipped", "the network has no layer with weights that takes a tensor")
    layer, module, seen = found
    mean, spread = seen.mean().item(), seen.std().item()
    said = f"what reaches {layer} has mean {mean:.3g} and standard deviation {spread:.3g}"
    if isinstance(module, NORMS):
        return Finding("inputs", "ok", f"{said}; that layer normalises it")
    cure = (
        f"add {mean:.3g} / picture.scale to picture.mean and divide picture.scale by {spread:.3g}"
        if spread > 0
        else "look at the pictures: they are of one colour"
    )
    # "not (... < ...)", so that NaN is a fault too.
    if not (abs(mean) < FAR_MEAN and NARROW < spread < WIDE):
        return Finding("inputs", "fault", f"{said}, where 0 and 1 are wanted: not normalised; {cure}")
    if not (abs(mean) < OFF_MEAN and SLIM < spread < BROAD):
        return Finding("inputs", "warning", f"{said}, a little far from 0 and 1; {cure}")
    return Finding("inputs", "ok", said)


def first_input(network: nn.Module, run: Callable[[], Any]) -> tuple[str, nn.Module, Tensor] | None:
    """Name and module of the first layer with weights that `run` calls, and the tensor that it is given.

    The innermost module is meant, so a convolution and not the block around it.
    """
    calls: list[tuple[str, nn.Module, Tensor]] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            tensors = [one for one in arguments if isinstance(one, Tensor) and one.is_floating_point()]
            if tensors:
                calls.append((name, module, tensors[0].detach().float()))

        return hook

    handles = [
        module.register_forward_pre_hook(note(name))
        for name, module in network.named_modules()
        if any(True for _ in module.parameters())
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    if not calls:
        return None
    first = calls[0]
    for call in calls[1:]:
        # A module is called after the one that holds it.
        if not call[0].startswith(f"{first[0]}." if first[0] else ""):
            break
        first = call
    return first[0] or "the network", first[1], first[2]
