"""One backward pass through fresh weights: can every unit learn something, and something of its own?"""

import math

import torch
from torch import Tensor, nn

from tombola.train.doctor.checks.material import Material
from tombola.train.doctor.finding import Finding

# Factors between the first layer's gradient (root mean square) and the largest of the last three layers.
VANISHED, FADING = 1e-5, 1e-3
EXPLODED, GROWING = 1e5, 1e3
LAST_LAYERS = 3
SQUASHERS = {nn.Sigmoid: "sigmoid", nn.Tanh: "tanh"}


class FirstGradient:
    """Weights and gradients, layer by layer, of all trained weights with two dimensions or more."""

    def __init__(self, material: Material) -> None:
        trial = material.trial(plain=True)
        self.network = trial.network
        trial.first_gradient(material.first_batch(augmented=False))
        self.layers: dict[str, tuple[Tensor, Tensor]] = {
            name.removesuffix(".weight"): (p.detach(), torch.zeros_like(p) if p.grad is None else p.grad)
            for name, p in self.network.named_parameters()
            if p.requires_grad and p.ndim > 1
        }

    def rms(self) -> list[float]:
        """Root mean square of each layer's gradient."""
        return [gradient.square().mean().sqrt().item() for _, gradient in self.layers.values()]


def check_first_weights(gradient: FirstGradient) -> Finding:
    """Fault if all units of a layer have equal weights and equal gradients: they would stay equal."""
    alike = [
        name
        for name, (weight, slope) in gradient.layers.items()
        if len(weight) > 1 and _rows_alike(weight) and _rows_alike(slope)
    ]
    if not alike:
        return Finding("first weights", "ok", "no layer has units that all start alike")
    zero = all(not gradient.layers[name][0].any() for name in alike)
    where = alike[0] if len(alike) == 1 else f"{alike[0]} and {len(alike) - 1} more"
    return Finding(
        "first weights",
        "fault",
        f"the first weights of {where} are all {'zero' if zero else 'equal'}, and so are the gradients of "
        "their units: they would stay alike for ever; draw them at random (initialisation 'he', 'xavier' or "
        "'default')",
    )


def check_gradients(gradient: FirstGradient) -> Finding:
    """Fault if the gradient vanishes or explodes on its way from the last layers to the first."""
    sizes = gradient.rms()
    if len(sizes) < 2:
        return Finding("gradients", "skipped", "there is one layer with weights at most")
    names = list(gradient.layers)
    first, last = sizes[0], max(sizes[-LAST_LAYERS:])
    if not (math.isfinite(first) and math.isfinite(last)) or last == 0:
        said = f"the gradient is {first:.2g} in {names[0]} and {last:.2g} in the last layers"
        return Finding("gradients", "fault", f"{said}; take other first weights")
    ratio = first / last
    said = f"the gradient in {names[0]} is {ratio:.2g} times that in the last layers (root mean squares)"
    if ratio < FADING:
        cure = "or use batch norm, residual connections or fewer layers"
        return Finding(
            "gradients",
            "fault" if ratio < VANISHED else "warning",
            f"{said}: it vanishes on its way back{_through(gradient.network)}; {cure}",
        )
    if ratio > GROWING:
        return Finding(
            "gradients",
            "fault" if ratio > EXPLODED else "warning",
            f"{said}: it explodes on its way back; take smaller first weights, or use batch norm",
        )
    return Finding("gradients", "ok", said)


def _rows_alike(tensor: Tensor) -> bool:
    spread = (tensor - tensor[:1]).abs().max()
    return bool(spread <= 1e-7 * tensor.abs().max())


def _through(network: nn.Module) -> str:
    counts = {
        name: sum(isinstance(module, kind) for module in network.modules())
        for kind, name in SQUASHERS.items()
    }
    name, count = max(counts.items(), key=lambda one: one[1])
    if count < 2:
        return "; take larger first weights (initialisation 'he')"
    return (
        f" through {count} {name} layers, whose slope is {'at most 1/4' if name == 'sigmoid' else 'below 1'}"
        + ("; take activation 'relu'")
    )
