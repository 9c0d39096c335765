"""CD-1, CD-k and persistent chains side by side, on a Boltzmann machine so small that ln Z is a sum."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tombola.errors import RecipeError
from tombola.train.drawing.spreads import Point, draw_spreads
from tombola.train.loop.learn.noise import seed_noise
from tombola.train.networks.generate.rbm import Rbm, RbmSettings, draw
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.run.folder import write_atomic
from tombola.train.tasks.generate.rbm_objective import RbmObjective
from tombola.train.tasks.generate.recipe import GenerateRecipe
from tombola.train.tasks.generate.task import GenerateTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_recipe

HIDDEN = 12  # 4,096 states
LOOKS = 12  # at the likelihood, in a training
BATCH = 100
MOST_PICTURES, MOST_JUDGED = 20_000, 2000
CONTENDERS = {
    "CD-1": {"steps": 1, "persistent": False},
    "CD-5": {"steps": 5, "persistent": False},
    "PCD-1": {"steps": 1},
    "PCD-5": {"steps": 5},
    "PCD-1, not centred": {"steps": 1, "centred": False},
    "CD-25": {"steps": 25, "persistent": False},
}


@dataclass(frozen=True)
class Row:
    """log_p: the mean exact log p of held-out pictures, in nats, after so many steps and seconds."""

    contender: str
    seed: int
    step: int
    seconds: float
    log_p: float


def study(train: Tensor, held_out: Tensor, *, rate: float, steps: int, seeds: int) -> Iterator[Row]:
    """Train every contender on grey pictures float [B, c, h, w] of 0..1, from the same first weights, on the
    same pixels."""
    for seed, (name, settings) in product(range(seeds), CONTENDERS.items()):
        told = RbmSettings.model_validate({"kind": "rbm", "hidden": HIDDEN} | settings)
        yield from _train(name, told, seed, train, held_out, rate=rate, steps=steps)


def _train(
    name: str,
    settings: RbmSettings,
    seed: int,
    train: Tensor,
    held_out: Tensor,
    *,
    rate: float,
    steps: int,
) -> Iterator[Row]:
    torch.manual_seed(seed)
    shape = PictureShape(*train.shape[1:])
    network, objective = Rbm(settings, shape), RbmObjective(settings, shape)
    network.begin(train)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    pixels = draw(torch.logit(held_out.flatten(1), eps=1e-6))
    order = np.random.default_rng(seed)
    seconds, every = 0.0, max(1, steps // LOOKS)
    for step in range(steps):
        began = time.process_time()
        seed_noise(seed, step)
        images = train[torch.from_numpy(order.integers(0, len(train), BATCH))]
        noise = torch.randn(BATCH, shape.size)
        optimizer.zero_grad()
        losses = objective.losses(network, images, None, noise, Moment(step, 0, steps))
        losses["contrast"].backward()
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        optimizer.step()
        seconds += time.process_time() - began
        if (step + 1) % every == 0 or step + 1 == steps:
            with torch.no_grad():
                log_p = -float(network(pixels).mean()) - exact_log_partition(network)
            yield Row(name, seed, step + 1, seconds, log_p)


def exact_log_partition(network: Rbm) -> float:
    """ln Z of a machine of binary pixels, by all states of its hidden units."""
    states = torch.tensor(list(product((0.0, 1.0), repeat=network.latent_size)))
    with torch.no_grad():
        logs = states @ network.up.bias + F.softplus(network.visible_drive(states)).sum(1)
    return float(logs.double().logsumexp(0))


def write_findings(rows: Sequence[Row], folder: Path) -> list[str]:
    """divergences.csv and divergences.png in the folder; the lines of a Markdown table."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomic(folder / "divergences.csv", text.getvalue().encode())
    lines: dict[str, list[Point]] = {}
    table = [
        "| | ln p of a held-out picture, nats | sd over seeds | seconds of one core |",
        "| --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(row.contender for row in rows):
        own = [row for row in rows if row.contender == name]
        for step in sorted({row.step for row in own}):
            values = [row.log_p for row in own if row.step == step]
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
            lines.setdefault(name, []).append((step, float(np.mean(values)), sd))
        _, mean, sd = lines[name][-1]
        seconds = np.mean([row.seconds for row in own if row.step == lines[name][-1][0]])
        told = "–" if np.isnan(sd) else f"{sd:.1f}"
        table.append(f"| {name} | {mean:.1f} | {told} | {seconds:.0f} |")
    png = draw_spreads(lines, x_label="steps", y_label="ln p of a held-out picture, nats", shares=False)
    write_atomic(folder / "divergences.png", png)
    return table


def run_study(
    recipe_file: Path, overrides: Sequence[str], folder: Path, *, steps: int, seeds: int
) -> Iterator[str]:
    """Train all contenders on the pictures of a recipe, and write what is known so far to the folder after
    each; a line of what came of it each time, at last the table. Raises RecipeError and DataError."""
    recipe = load_recipe(recipe_file, overrides)
    if not isinstance(recipe, GenerateRecipe) or not isinstance(recipe.network, RbmSettings):
        raise RecipeError(f'{recipe_file} is not of a Boltzmann machine; give one with network.kind = "rbm"')
    (train, _), (held_out, _) = GenerateTask(recipe).some_pictures(MOST_PICTURES, MOST_JUDGED)
    rows: list[Row] = []
    table: list[str] = []
    for row in study(train, held_out, rate=recipe.training.learning_rate, steps=steps, seeds=seeds):
        rows.append(row)
        if row.step == steps:
            table = write_findings(rows, folder)
            yield f"{row.contender}, seed {row.seed}: {row.log_p:.2f} nats"
    yield "\n".join(table)
