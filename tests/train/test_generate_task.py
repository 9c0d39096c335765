"""Generators train by recipe, resume, and take turns; what a recipe cannot have is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tombola.errors import RecipeError
from tombola.train.evaluate import evaluate_generator
from tombola.train.loop.learn.gradient_learner import GradientLearner
from tombola.train.loop.learn.noise import seed_noise
from tombola.train.loop.loader import load_batches
from tombola.train.metrics.frechet import frechet_distance
from tombola.train.tasks.generate.task import GenerateTask, coarse_features
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import open_task
from tombola.train.train import train_recipe

RECIPE = """
task = "generate"
name = "toy"
[data]
format = "idx"
root = "ROOT"
train = [{ pictures = "images.gz", labels = "labels.gz", folds = ["!0/4"] }]
valid = [{ pictures = "images.gz", labels = "labels.gz", folds = ["0/4"] }]
[picture]
size = [8, 8]
[network]
kind = "vae"
latents = 2
widths = [4, 8]
[training]
epochs = 2
batch_size = 32
optimizer = "adam"
workers = 0
"""
GAN = ("network.kind=gan", "network.widths=[6, 4]", "network.critic_widths=[4, 6]", "network.critic_steps=2")
RBM = (
    "network={kind = 'rbm', hidden = 12, chains = 200}",
    "training.optimizer=sgd",
    "training.learning_rate=1",
)


@pytest.fixture
def recipe(digits_data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE.replace("ROOT", str(digits_data)))
    return path


def test_a_vae_learns_and_its_report_shows_what_it_makes(recipe: Path, tmp_path: Path) -> None:
    run = train_recipe(recipe, tmp_path / "run", quiet=True)
    rows = run.read_metrics()
    assert rows[1]["valid_loss"] < rows[0]["valid_loss"]
    assert rows[1]["valid_loss"] == pytest.approx(rows[1]["valid_reconstruction"] + rows[1]["valid_kl"])
    page = (run.path / "report.html").read_text()
    assert "Nearest training pictures" in page
    assert "after epochs 1, 2, a row each" in page
    assert [path.name for path in run.sample_rows().values()] == ["epoch-0001.png", "epoch-0002.png"]
    assert "Reconstructions" in page


@pytest.mark.parametrize("flip", [0.0, 0.5])
def test_a_batch_read_at_once_is_that_of_its_requests(recipe: Path, flip: float) -> None:
    """Each picture is that of the file, mirrored by its own seed, and each noise of its own seed too."""
    task = open_task(recipe, (f"augment.flip={flip}", "picture.size=[28, 28]"))
    assert isinstance(task, GenerateTask)
    requests = task.plan_epoch(0)[0]
    (batch,) = load_batches(task, [requests], workers=0)
    for place, request in enumerate(requests):
        mirrored = np.random.default_rng(request.seed).random() < flip
        grey = task.train_data.read(request.index)[:, :: -1 if mirrored else 1, 0]
        assert (batch.images_rgb_u8[place].numpy() == grey).all()
        assert batch.labels[place] == task.train_data.labels[request.index]
        rng = np.random.Generator(np.random.Philox(key=[request.seed, 1]))
        noise = rng.standard_normal(2, np.float32)
        assert (batch.noise[place].numpy() == noise).all()


def test_players_learn_in_turns(recipe: Path) -> None:
    task = open_task(recipe, GAN)
    assert isinstance(task, GenerateTask)
    assert task.turns == 3
    learner = GradientLearner(task, Fabric(accelerator="cpu", devices=1))
    batch = task.collate([task.examples()[request] for request in task.plan_epoch(0)[0]])
    moment = Moment(0, 0, 10)
    for turn, player in enumerate(("critic.", "critic.", "generator.")):
        before = {name: p.detach().clone() for name, p in learner.network.named_parameters()}
        learner._take_turn(batch, replace(moment, turn=turn))
        moved = {name for name, p in learner.network.named_parameters() if not torch.equal(p, before[name])}
        assert moved
        assert all(name.startswith(player) for name in moved)
    parts = learner.step(batch, moment)
    assert set(parts) == {"critic", "generator"}
    assert all(p.grad is not None for name, p in learner.network.named_parameters() if p.ndim > 1)


def test_a_slope_penalty_now_and_then(recipe: Path) -> None:
    task = open_task(recipe, (*GAN, "network.r1=1", "network.r1_every=4"))
    learner = GradientLearner(task, Fabric(accelerator="cpu", devices=1))
    batch = task.collate([task.examples()[request] for request in task.plan_epoch(0)[0]])
    seen = [set(learner.step(batch, Moment(step, 0, 10))) for step in range(5)]
    assert [("r1" in parts) for parts in seen] == [True, False, False, False, True]


def test_a_boltzmann_machine_learns(recipe: Path, tmp_path: Path) -> None:
    run = train_recipe(recipe, tmp_path / "run", overrides=(*RBM, "training.epochs=4"), quiet=True)
    rows = run.read_metrics()
    assert rows[3]["valid_loss"] < rows[0]["valid_loss"] - 0.3
    assert "Reconstructions" in (run.path / "report.html").read_text()
    figures = evaluate_generator(run.path, "valid", samples=100)
    assert figures["log_likelihood_low"] < figures["log_likelihood"] < figures["log_likelihood_high"]
    assert figures["log_likelihood"] == pytest.approx(-figures["free_energy"] - figures["log_partition"])
    assert figures["log_likelihood"] == pytest.approx(-figures["loss"], abs=0.5)
    with pytest.raises(RecipeError, match="chains of a Boltzmann machine"):
        open_task(recipe, RBM).check_shares()


@pytest.mark.slow
def test_a_gan_is_judged_by_how_far_its_pictures_are_from_real_ones(recipe: Path, tmp_path: Path) -> None:
    run = train_recipe(recipe, tmp_path / "run", overrides=(*GAN, "training.epochs=1"), quiet=True)
    (row,) = run.read_metrics()
    assert 0 < row["valid_loss"] < 20
    assert 0 <= row["valid_critic_right"] <= 1


def test_pictures_half_as_bright_are_far_from_the_real_ones() -> None:
    images = torch.rand(50, 1, 28, 28)
    assert frechet_distance(coarse_features(images), coarse_features(images)) < 1e-6
    assert frechet_distance(coarse_features(images), coarse_features(images / 2)) > 1


@pytest.mark.parametrize("family", [GAN, RBM], ids=["gan", "rbm"])
def test_players_and_chains_go_on_where_they_stopped(recipe: Path, family: tuple[str, ...]) -> None:
    def learner() -> GradientLearner:
        return GradientLearner(open_task(recipe, family), Fabric(accelerator="cpu", devices=1))

    one, task = learner(), open_task(recipe, family)
    batches = [task.collate([task.examples()[r] for r in plan]) for plan in task.plan_epoch(0)[:4]]

    def steps(who: GradientLearner, numbers: range) -> None:
        for step in numbers:
            seed_noise(0, step)
            who.step(batches[step], Moment(step, 0, 4))

    steps(one, range(2))
    other = learner()
    other.restore({name: tensor.clone() for name, tensor in one.state().items()})
    steps(one, range(2, 4))
    steps(other, range(2, 4))
    states = one.state(), other.state()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("network.kind=cnn",), "network"),
        (("picture.mean=[3.0]",), r"levels of 0\.\.1"),
        ((*GAN, "training.optimizer=sgd"), "does not balance a GAN"),
        (("network.latents=0",), "latents"),
        (("data.format=clips",), "a generator learns from single pictures"),
    ],
)
def test_recipes_that_cannot_be(recipe: Path, overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        open_task(recipe, overrides)


def test_processes_cannot_share_the_batches_of_norms_and_turns(recipe: Path) -> None:
    with pytest.raises(RecipeError, match="take turns"):
        open_task(recipe, GAN).check_shares()
    with pytest.raises(RecipeError, match="batch norm"):
        open_task(recipe).check_shares()
    open_task(recipe, ('network.body="dense"',)).check_shares()
