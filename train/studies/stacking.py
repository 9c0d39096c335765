"""Layers that learn one after another from pictures alone (Bengio et al. 2007; Vincent et al. 2010), then the
whole from few labels: against the same network with fresh weights."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor
from torch.nn import functional as F

from tombola.errors import RecipeError
from tombola.train.networks.axis import Axes
from tombola.train.networks.classify.mlp import Mlp, MlpSettings
from tombola.train.networks.generate.autoencoder import Autoencoder, AutoencoderSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.run.folder import RunFolder, write_atomic
from tombola.train.start.start import load_start
from tombola.train.studies.minimise import minimise
from tombola.train.tasks.generate.autoencoder_objective import AutoencoderObjective
from tombola.train.tasks.generate.recipe import GenerateRecipe
from tombola.train.tasks.generate.task import GenerateTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe

WIDTHS = (256, 256, 128)
MASKED = 0.3  # of what a layer reads, while it learns alone
PICTURES, JUDGED = 10_000, 5_000
LABELS = (100, 500, 2000)
LAYER_STEPS, FINE_STEPS, BATCH, RATE = 800, 500, 100, 3e-3
SCRATCH, STACKED = "fresh weights", "stacked, then fine-tuned"


@dataclass(frozen=True)
class Row:
    """error: share of the held-out pictures that are told wrongly, after training on so many labels."""

    arm: str
    labels: int
    seed: int
    error: float


@dataclass(frozen=True)
class Labelled:
    """images: float [n, c, h, w] of 0..1. labels: int64 [n]."""

    images: Tensor
    labels: Tensor


def stacked_layers(images: Tensor, widths: Sequence[int], steps: int) -> dict[str, Tensor]:
    """Weights of an `mlp` of tanh units by name: each layer learns alone, and the next reads what it makes of
    all pictures."""
    tensors: dict[str, Tensor] = {}
    seen = images.flatten(1)
    for index, units in enumerate(widths):
        layer = _learnt_layer(seen, units, steps)
        own = layer.to_code[0].state_dict()
        tensors |= {f"layers.{index}.0.{name}": tensor for name, tensor in own.items()}
        with torch.no_grad():
            seen = layer.code(seen)
    return tensors


def _learnt_layer(seen: Tensor, units: int, steps: int) -> Autoencoder:
    """One that gives back what it reads, float [n, d], though a share of that is hidden, through its own
    matrix turned around."""
    shape = PictureShape(1, 1, seen.shape[1])
    settings = AutoencoderSettings(
        kind="autoencoder", latents=units, body="linear", code="tanh", tied=True, masked=MASKED
    )
    layer, objective = Autoencoder(settings, shape, Axes()), AutoencoderObjective(settings, shape)

    def loss(places: Tensor) -> Tensor:
        noise = torch.randn(len(places), objective.noise_size)
        lines = seen[places].view(-1, *shape)
        return objective.losses(layer, lines, None, noise, Moment(0, 0, 1))["reconstruction"]

    minimise(layer, loss, len(seen), steps=steps, batch=BATCH, rate=RATE)
    return layer


def fresh_classifier(like: Tensor, widths: Sequence[int], n_classes: int) -> Mlp:
    """For pictures as these, [n, c, h, w]."""
    settings = MlpSettings(widths=tuple(widths), activation="tanh")
    _, channels, height, width = like.shape
    return Mlp(settings, channels=channels, size_hw=(height, width), n_classes=n_classes, axes=Axes())


def study(
    known: Labelled,
    judged: Labelled,
    folder: Path,
    *,
    seeds: int,
    widths: Sequence[int] = WIDTHS,
    counts: Sequence[int] = LABELS,
    layer_steps: int = LAYER_STEPS,
    fine_steps: int = FINE_STEPS,
) -> Iterator[Row]:
    """Both arms see the same labelled pictures in the same order; the layers have seen all `known` pictures,
    without labels. The stacked weights of each seed lie in the folder as stacked-SEED.safetensors, which
    start.weights of an `mlp` reads."""
    n_classes = int(known.labels.max()) + 1
    for seed in range(seeds):
        torch.manual_seed(seed)
        name, run = f"stacked-{seed}", RunFolder(folder)
        run.write_weights(name, stacked_layers(known.images, widths, layer_steps), {"layers": "stacked"})
        order = torch.randperm(len(known.images))
        for count in counts:
            few = Labelled(known.images[order[:count]], known.labels[order[:count]])
            for arm in (SCRATCH, STACKED):
                torch.manual_seed(seed)
                network = fresh_classifier(known.images, widths, n_classes)
                if arm == STACKED:
                    load_start(network, run.weights_path(name), fresh=("head.",))
                yield Row(arm, count, seed, _error_of(network, few, judged, fine_steps))


def _error_of(network: Mlp, few: Labelled, judged: Labelled, steps: int) -> float:
    """Train on the few, and judge."""

    def loss(places: Tensor) -> Tensor:
        return F.cross_entropy(network(few.images[places]), few.labels[places])

    minimise(network, loss, len(few.images), steps=steps, batch=BATCH, rate=RATE)
    with torch.no_grad():
        return float((network(judged.images).argmax(1) != judged.labels).double().mean())


def write_findings(rows: Sequence[Row], folder: Path) -> str:
    """stacking.csv and report.md in the folder; the text of the last."""
    table = io.StringIO()
    writer = csv.DictWriter(table, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomic(folder / "stacking.csv", table.getvalue().encode())
    lines = [
        f"| labels | {SCRATCH}: wrong, % | {STACKED}: wrong, % | fewer by, points |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for count in dict.fromkeys(row.labels for row in rows):
        by_arm = [
            [row.error for row in rows if (row.labels, row.arm) == (count, arm)] for arm in (SCRATCH, STACKED)
        ]
        fewer = [before - after for before, after in zip(*by_arm, strict=True)]
        lines.append(f"| {count:,} | {' | '.join(map(_told, (*by_arm, fewer)))} |")
    text = "\n".join([*lines, ""])
    write_atomic(folder / "report.md", text.encode())
    return text


def _told(shares: Sequence[float]) -> str:
    """The mean in per cent, and the standard deviation over seeds."""
    spread = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.1f}{spread}"


def run_study(recipe_file: Path, overrides: Sequence[str], folder: Path, *, seeds: int) -> Iterator[str]:
    """The study on the pictures of a generator's recipe; a line a training, at last the table, which lies in
    the folder. Raises RecipeError and DataError."""
    recipe = load_recipe(recipe_file, overrides)
    if not isinstance(recipe, GenerateRecipe):
        raise RecipeError(
            f"{recipe_file} is not of a generator; give one with labelled pictures, as mnist-vae"
        )
    known, judged = (Labelled(*one) for one in GenerateTask(recipe).some_pictures(PICTURES, JUDGED))
    rows: list[Row] = []
    for row in study(known, judged, folder, seeds=seeds):
        rows.append(row)
        yield f"{row.arm}, {row.labels} labels, seed {row.seed}: {100 * row.error:.1f} % wrong"
    yield write_findings(rows, folder)
