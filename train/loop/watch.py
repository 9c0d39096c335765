"""A watch over a training: gradients, updates and units of every layer, and sentences on what is wrong."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tombola.train.loop.units import ENOUGH_EXAMPLES, UnitMeter
from tombola.train.run.watch_row import FAST_RATIO, HEALTHY_RATIO, SLOW_RATIO, WatchRow

# Factor between the gradient (root mean square) of a layer and that of the last layers.
GRADIENT_GAP = 1e4
# Share of a layer's units.
MANY_UNITS = 0.5
# A finding about a layer must hold at so many looks in a row.
STEADY_LOOKS = 3
EXPLODED = 3.0
SMOOTHING = 0.9


@dataclass(frozen=True)
class _Case:
    """A condition that held for a layer at this look; worst is what the sentence quotes."""

    layer: str
    worst: float


class Watch:
    """Looks at a network at its first step and at every `every`-th; `every` = 0 watches the loss alone.

    The loop calls, around each step (steps count from 0; `loss` is the sum that is minimised):

        watch = Watch(network, settings.watch_every, ignorant_loss)   # without Fabric's or DDP's wrapper
        watch.before_step(step)                        # before the forward pass
        ...                                            # forward, backward, clipping, optimiser, max-norm
        for sentence in watch.after_step(step, loss):  # before the gradients are cleared
            progress.say(sentence)

    and keeps `state()`, which is JSON-ready, in the checkpoint, for `restore` to go on with. ignorant_loss is
    that of a network that knows nothing: a loss below it has not exploded, whatever the first was. `rows` and
    `sentences` hold all since the first step; `RunFolder.write_watch` writes both. Nothing here draws random
    numbers or changes a tensor of the training. Under several processes the units are those that this
    process's share of a batch met.
    """

    def __init__(self, network: nn.Module, every: int, ignorant_loss: float = 0.0) -> None:
        self.rows: list[WatchRow] = []
        self.sentences: list[str] = []
        self._every = every
        self._ignorant_loss = ignorant_loss
        self._weights = {
            name.removesuffix(".weight"): parameter
            for name, parameter in network.named_parameters()
            if parameter.ndim > 1 and parameter.requires_grad
        }
        self._units = UnitMeter(network)
        self._before: dict[str, Tensor] = {}
        self._first_loss: float | None = None
        self._smooth_loss = 0.0
        self._largest_ratio: dict[str, float] = {}
        self._streaks: dict[tuple[str, str], int] = {}  # (kind, layer) -> looks in a row
        self._told: set[tuple[str, str]] = set()

    def before_step(self, step: int) -> None:
        """On a step that is looked at: copy the weights and hook the activations."""
        if self._is_look(step):
            self._before = {name: weight.detach().clone() for name, weight in self._weights.items()}
            self._units.arm()

    def after_step(self, step: int, loss: float) -> list[str]:
        """What is newly wrong, in sentences; each kind of finding is told once for a layer."""
        told = self._judge_loss(loss)
        if self._is_look(step):
            layers = self._read_weights(step + 1)
            units = [
                WatchRow(
                    step + 1,
                    reading.layer,
                    None,
                    None,
                    _short(reading.dead_share),
                    _short(reading.saturated_share),
                )
                for reading in self._units.read()
            ]
            self.rows += layers + units
            told += self._judge_weights(layers) + self._judge_units(units)
        sentences = [f"step {step + 1}: {sentence}" for sentence in told]
        self.sentences += sentences
        return sentences

    def state(self) -> dict[str, Any]:
        """All that the watch remembers, JSON-ready, but the rows: there may be millions."""
        return {
            "sentences": list(self.sentences),
            "first_loss": self._first_loss,
            "smooth_loss": self._smooth_loss,
            "largest_ratio": dict(self._largest_ratio),
            "streaks": [[*key, looks] for key, looks in self._streaks.items()],
            "told": [list(key) for key in sorted(self._told)],
            "units": self._units.state(),
        }

    def restore(self, state: dict[str, Any], rows: Sequence[WatchRow]) -> None:
        """Go on from a `state` and the rows until then; KeyError or TypeError if it is none."""
        self.rows = list(rows)
        self.sentences = list(state["sentences"])
        self._first_loss, self._smooth_loss = state["first_loss"], state["smooth_loss"]
        self._largest_ratio = dict(state["largest_ratio"])
        self._streaks = {(kind, layer): looks for kind, layer, looks in state["streaks"]}
        self._told = {(kind, layer) for kind, layer in state["told"]}
        self._units.restore(state["units"])

    def _is_look(self, step: int) -> bool:
        return self._every > 0 and (step == 0 or (step + 1) % self._every == 0)

    def _read_weights(self, step: int) -> list[WatchRow]:
        if not self._weights:
            return []
        norms = torch.stack(
            [norm.float() for name, weight in self._weights.items() for norm in self._norms(name, weight)]
        ).tolist()
        self._before = {}
        rows = []
        for number, name in enumerate(self._weights):
            gradient, update, before = norms[3 * number : 3 * number + 3]
            ratio = _short(update / before) if before > 0 else None
            rows.append(WatchRow(step, name, _short(gradient), ratio))
        return rows

    def _norms(self, name: str, weight: nn.Parameter) -> tuple[Tensor, Tensor, Tensor]:
        norm, now, before = torch.linalg.vector_norm, weight.detach(), self._before[name]
        gradient = norm(weight.grad) if weight.grad is not None else torch.zeros((), device=now.device)
        return gradient, norm(now - before), norm(before)

    def _judge_loss(self, loss: float) -> list[str]:
        if not math.isfinite(loss):  # which ends the training
            return []
        if self._first_loss is None:
            self._first_loss = self._smooth_loss = loss
        self._smooth_loss = SMOOTHING * self._smooth_loss + (1 - SMOOTHING) * loss
        if self._smooth_loss < 0:  # a difference, such as a contrast: its first value is no scale
            self._first_loss = self._smooth_loss
        if not self._smooth_loss > EXPLODED * self._first_loss > 0 or ("exploded", "") in self._told:
            return []
        # Weights that knew much begin with a loss so small that chance alone makes it three times as large.
        if self._smooth_loss < self._ignorant_loss:
            return []
        self._told.add(("exploded", ""))
        return [
            f"the loss has exploded: {self._smooth_loss:.3g} (smoothed) is more than {EXPLODED:.0f} times "
            f"the first, {self._first_loss:.3g}; lower training.learning_rate, or lengthen "
            "training.warmup_steps"
        ]

    def _judge_weights(self, rows: Sequence[WatchRow]) -> list[str]:
        ratios = {row.layer: row.update_ratio for row in rows if row.update_ratio is not None}
        for layer, ratio in ratios.items():
            self._largest_ratio[layer] = max(ratio, self._largest_ratio.get(layer, 0.0))
        sizes = {row.layer: self._rms_gradient(row) for row in rows}
        last = max(list(sizes.values())[-3:], default=0.0)
        moving = {layer: size for layer, size in sizes.items() if size > 0}
        return [
            *self._steady(
                "no gradient",
                [_Case(layer, size) for layer, size in sizes.items() if size == 0],
                lambda layers, _: (
                    f"no gradient reaches {layers}: it cannot learn; look for dead units behind it, weights "
                    "that start at zero, or a part of the network that the loss does not use"
                ),
            ),
            *self._steady(
                "vanishing",
                [_Case(layer, last / size) for layer, size in moving.items() if size * GRADIENT_GAP < last],
                lambda layers, worst: (
                    f"the gradient vanishes on its way back to {layers}: up to {worst:.0e} times smaller "
                    "than in the last layers; use relu and initialisation 'he', batch norm, shortcuts, or "
                    "fewer layers"
                ),
            ),
            *self._steady(
                "exploding",
                [
                    _Case(layer, size / last)
                    for layer, size in moving.items()
                    if size > last * GRADIENT_GAP > 0
                ],
                lambda layers, worst: (
                    f"the gradient explodes on its way back to {layers}: up to {worst:.0e} times larger than "
                    "in the last layers; use a smaller initialisation, batch norm or training.max_norm"
                ),
            ),
            *self._steady(
                "fast",
                [_Case(layer, ratio) for layer, ratio in ratios.items() if ratio > FAST_RATIO],
                lambda layers, worst: (
                    f"the weights of {layers} change by up to {worst:.0%} in a step, where about "
                    f"{HEALTHY_RATIO:.1%} is healthy; lower training.learning_rate"
                ),
            ),
            *self._steady(
                "slow",
                [
                    _Case(layer, self._largest_ratio[layer])
                    for layer in ratios
                    # Where the gradient fades a higher rate is no cure.
                    if self._largest_ratio[layer] < SLOW_RATIO and sizes[layer] * 100 >= last > 0
                ],
                lambda layers, worst: (
                    f"the weights of {layers} hardly move: by at most {worst:.0e} of their length in a "
                    f"step, where about {HEALTHY_RATIO:g} is healthy; raise training.learning_rate"
                ),
            ),
        ]

    def _rms_gradient(self, row: WatchRow) -> float:
        return (row.gradient_norm or 0.0) / math.sqrt(self._weights[row.layer].numel())

    def _judge_units(self, rows: Sequence[WatchRow]) -> list[str]:
        return [
            *self._steady(
                "dead",
                [_Case(row.layer, row.dead_share) for row in rows if (row.dead_share or 0) > MANY_UNITS],  # type: ignore[arg-type]
                lambda layers, worst: (
                    f"up to {worst:.0%} of the units in {layers} are dead: 0 for each of the last "
                    f"{ENOUGH_EXAMPLES} examples, so that they learn no more; lower training.learning_rate, "
                    "or use leaky_relu or initialisation 'he'"
                ),
                looks=1,
            ),
            *self._steady(
                "saturated",
                [
                    _Case(row.layer, row.saturated_share)  # type: ignore[arg-type]
                    for row in rows
                    if (row.saturated_share or 0) > MANY_UNITS
                ],
                lambda layers, worst: (
                    f"up to {worst:.0%} of the answers of {layers} are saturated, where the slope is nearly "
                    "0 and little is learned; normalise the inputs, use a smaller initialisation, batch norm "
                    "or relu"
                ),
            ),
        ]

    def _steady(
        self, kind: str, seen: Sequence[_Case], say: Callable[[str, float], str], looks: int = STEADY_LOOKS
    ) -> list[str]:
        """One sentence on the layers for which the condition has now held `looks` times in a row."""
        before, here = self._streaks, {one.layer for one in seen}
        self._streaks = {key: count for key, count in before.items() if key[0] != kind or key[1] in here} | {
            (kind, layer): before.get((kind, layer), 0) + 1 for layer in here
        }
        fresh = [
            one
            for one in seen
            if self._streaks[kind, one.layer] >= looks and (kind, one.layer) not in self._told
        ]
        if not fresh:
            return []
        self._told |= {(kind, one.layer) for one in fresh}
        names = [one.layer for one in fresh]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        layers = f"layer {names[0]}" if len(names) == 1 else f"layers {', '.join(names[:3])}{more}"
        return [say(layers, max(one.worst for one in fresh))]


def _short(value: float | None) -> float | None:
    """Four digits are enough, and a number that is not finite is none."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
