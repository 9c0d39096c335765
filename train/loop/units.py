"""Which units of a network no longer answer: dead rectifiers, saturated sigmoids and tanhs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

# A unit that answers one example in twenty misses 128 in a row once in seven hundred times.
ENOUGH_EXAMPLES = 128
# |tanh x| = |2 sigmoid(2 x) - 1| beyond this: the slope is below a twentieth of its largest.
SATURATED = math.sqrt(0.95)

RECTIFIERS = (nn.ReLU, nn.ReLU6)
SQUASHERS = (nn.Sigmoid, nn.Tanh)


@dataclass(frozen=True)
class UnitReading:
    """One activation layer at one look; shares are 0..1.

    dead_share: share of its units that were 0 for each of the last ENOUGH_EXAMPLES examples; None until as
    many were seen, or if it is no rectifier. saturated_share: share of its answers on the flat ends of a
    sigmoid or tanh; None for rectifiers.
    """

    layer: str
    dead_share: float | None
    saturated_share: float | None


class UnitMeter:
    """Forward hooks on the activation modules of a network; they stay only from `arm` to `read`.

    A unit is a channel of a map [B, C, H, W], else an entry of the last axis. An activation that is a
    function and not a module cannot be seen.
    """

    def __init__(self, network: nn.Module) -> None:
        self._modules = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, (*RECTIFIERS, *SQUASHERS))
        }
        self._handles: list[RemovableHandle] = []
        # Of this look: bool [units] and the number of examples; means over the calls.
        self._fired: dict[str, tuple[Tensor, int]] = {}
        self._saturated: dict[str, list[Tensor]] = {}
        # Of all looks: examples in a row that did not fire a unit, int64 [units]; examples seen.
        self._silent: dict[str, Tensor] = {}
        self._seen: dict[str, int] = {}
        self._widths: dict[str, int] = {}

    def arm(self) -> None:
        """Look at every forward pass from now on."""
        self._disarm()
        self._handles = [
            module.register_forward_hook(self._hook(name)) for name, module in self._modules.items()
        ]

    def read(self) -> list[UnitReading]:
        """What was seen since `arm`, in the order of the forward pass; takes the hooks away."""
        self._disarm()
        dead = [
            UnitReading(layer, self._dead_share(layer, fired, examples), None)
            for layer, (fired, examples) in self._fired.items()
        ]
        saturated = [
            UnitReading(layer, None, float(torch.stack(shares).mean()))
            for layer, shares in self._saturated.items()
        ]
        self._fired, self._saturated = {}, {}
        return dead + saturated

    def state(self) -> dict[str, Any]:
        """How long each unit has been silent, JSON-ready."""
        return {
            "seen": dict(self._seen),
            "silent": {layer: silent.tolist() for layer, silent in self._silent.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self._seen = dict(state["seen"])
        self._silent = {
            layer: torch.tensor(silent, dtype=torch.int64) for layer, silent in state["silent"].items()
        }
        self._widths = {layer: len(silent) for layer, silent in self._silent.items()}

    def _dead_share(self, layer: str, fired: Tensor, examples: int) -> float | None:
        here = fired.cpu()
        silent = self._silent.get(layer, torch.zeros(len(here), dtype=torch.int64))
        # Clamped, so that a checkpoint's numbers stay short.
        self._silent[layer] = (silent + examples).clamp(max=ENOUGH_EXAMPLES).masked_fill(here, 0)
        self._seen[layer] = min(self._seen.get(layer, 0) + examples, ENOUGH_EXAMPLES)
        if self._seen[layer] < ENOUGH_EXAMPLES:
            return None
        return float((self._silent[layer] >= ENOUGH_EXAMPLES).float().mean())

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def look(module: nn.Module, _: Any, answers: Tensor) -> None:
            answers = answers.detach()
            if answers.numel() == 0:
                return
            if isinstance(module, RECTIFIERS):
                self._note_fired(name, answers)
            else:
                centred = answers.float() if isinstance(module, nn.Tanh) else 2 * answers.float() - 1
                self._saturated.setdefault(name, []).append((centred.abs() > SATURATED).float().mean())

        return look

    def _note_fired(self, name: str, answers: Tensor) -> None:
        units = 1 if answers.ndim == 4 else answers.ndim - 1
        fired = answers.amax(dim=[axis for axis in range(answers.ndim) if axis != units]) > 0
        # A module that is used at two widths is two layers.
        first_width = self._widths.setdefault(name, len(fired))
        layer = name if len(fired) == first_width else f"{name} ({len(fired)} units)"
        before, examples = self._fired.get(layer, (fired, 0))
        self._fired[layer] = (before | fired, max(examples, len(answers)))

    def _disarm(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
