"""The task of classification: batches, losses, scores, and a whole training on drawn digits."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tombola.errors import DataError, RecipeError, TrainingError
from tombola.train.doctor.report import write_report
from tombola.train.run.folder import RunFolder
from tombola.train.tasks.classify.batches import plan_epoch
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.classify.task import ClassifyTask, load_split
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import load_network, load_recipe
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")

START = Moment(0, 0, 1)


def open_digits(recipe: Path, *changes: str) -> ClassifyTask:
    return ClassifyTask(load_recipe(recipe, changes))


def first_batch(task: ClassifyTask) -> object:
    examples = task.examples()
    return task.collate([examples[request] for request in task.plan_epoch(0)[0]])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, digits_data: Path) -> Path:
    """A run folder of the digits recipe."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = folder / "digits.toml"
    write_recipe(recipe, digits_data)
    return train_recipe(recipe, folder / "run", device="cpu", quiet=True).path


def write_recipe(path: Path, data: Path) -> None:
    source = '{{ pictures = "images.gz", labels = "labels.gz", folds = ["{fold}"] }}'
    path.write_text(
        f"""
task = "classify"
[data]
format = "idx"
root = {str(data)!r}
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
train = [{source.format(fold="!0/6")}]
valid = [{source.format(fold="0/6")}]
test = [{{ pictures = "test-images.gz", labels = "test-labels.gz" }}]
[picture]
size = [28, 28]
channels = 1
mean = [20.0]
scale = [0.015]
[network]
kind = "cnn"
blocks = [[8], [16]]
dense = [32]
[training]
epochs = 5
batch_size = 20
learning_rate = 5e-3
warmup_steps = 5
ema_decay = 0.9
early_steps = [1]
workers = 0
"""
    )


def test_every_picture_is_in_one_batch_of_an_epoch_and_the_order_changes() -> None:
    first, again, second = (plan_epoch(40, batch_size=8, seed=3, epoch=epoch) for epoch in (0, 0, 1))
    assert first == again
    assert first != second
    assert sorted(request.index for batch in first for request in batch) == list(range(40))
    assert len({request.seed for batch in first for request in batch}) == 40


def test_pictures_that_fill_no_batch_wait() -> None:
    plan = plan_epoch(43, batch_size=8, seed=3, epoch=0)
    assert [len(batch) for batch in plan] == [8] * 5


def test_a_batch_holds_pictures_and_their_own_labels(digits_recipe: Path) -> None:
    task = open_digits(digits_recipe)
    requests = task.plan_epoch(0)[0]
    examples = task.examples()
    batch = task.collate([examples[request] for request in requests])
    assert batch.images_rgb_u8.shape == (20, 3, 28, 28)
    assert batch.images_rgb_u8.dtype == torch.uint8
    for place, request in enumerate(requests):
        picture = task.train_data.read(request.index)
        np.testing.assert_array_equal(batch.images_rgb_u8[place].permute(1, 2, 0).numpy(), picture)
        assert int(batch.labels[place]) == task.train_data.labels[request.index]


@torch.no_grad()
def test_the_first_loss_is_the_logarithm_of_the_number_of_classes(digits_recipe: Path) -> None:
    task = open_digits(digits_recipe, "network.initialisation=zeros")
    network = task.build_network()
    task.prepare(network, START)
    loss = task.losses(network, first_batch(task), START)["cross_entropy"]  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(math.log(10), abs=1e-5)
    assert task.expected_losses() == {"cross_entropy": pytest.approx(math.log(10))}


@torch.no_grad()
def test_label_smoothing_is_the_mean_of_both_cross_entropies(digits_recipe: Path) -> None:
    plain, smooth = open_digits(digits_recipe), open_digits(digits_recipe, "loss.label_smoothing=0.3")
    network = plain.build_network().eval()
    batch = first_batch(plain)
    logits = network(plain.picture_input.normalise(batch.images_rgb_u8))  # type: ignore[attr-defined]
    log_probabilities = logits.log_softmax(1)
    own = -log_probabilities.gather(1, batch.labels[:, None]).mean()  # type: ignore[attr-defined]
    every = -log_probabilities.mean()
    expected = 0.7 * own + 0.3 * every
    for task, wanted in ((plain, own), (smooth, expected)):
        loss = task.losses(network, batch, START)["cross_entropy"]  # type: ignore[arg-type]
        assert float(loss) == pytest.approx(float(wanted), rel=1e-5)


def probabilities(
    network: nn.Module, recipe: ClassifyRecipe, image_rgb_u8: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Of one picture at a time, without the batches of a validation."""
    with torch.inference_mode():
        image = recipe.picture.as_input()(torch.from_numpy(image_rgb_u8))
        return np.asarray(network(image).softmax(dim=1)[0], np.float32)


def test_a_training_learns_the_digits_and_can_be_loaded(trained: Path) -> None:
    rows = RunFolder(trained).read_metrics()
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    network, recipe = load_network(trained)
    test = load_split(recipe, "test")
    answers = np.stack([probabilities(network, recipe, test.read(index)) for index in range(len(test))])
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert (answers.argmax(axis=1) == test.labels).mean() > 0.9


def test_the_score_is_the_share_of_right_guesses(trained: Path) -> None:
    network, recipe = load_network(trained)
    task = ClassifyTask(recipe)
    assert task.valid_data is not None
    right = [
        probabilities(network, recipe, task.valid_data.read(index)).argmax() == task.valid_data.labels[index]
        for index in range(len(task.valid_data))
    ]
    with torch.inference_mode():
        scores = task.evaluate(network)
    assert scores["accuracy"] == pytest.approx(np.mean(right))


def test_the_same_training_twice_gives_the_same_weights(digits_data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "digits.toml"
    write_recipe(recipe, digits_data)
    changes = ("training.epochs=1", "network.dropout=0.3", "augment.rotate=10", "augment.erase=0.5")
    weights = [
        train_recipe(recipe, tmp_path / name, overrides=changes, device="cpu", quiet=True).read_weights(
            "last"
        )
        for name in ("one", "two")
    ]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def test_a_second_training_starts_from_a_first_and_keeps_what_is_frozen(
    digits_recipe: Path, trained: Path
) -> None:
    task = open_digits(digits_recipe, f"start.weights={trained}", "start.freeze=blocks.0")
    network = task.build_network()
    task.prepare(network, START)
    first = RunFolder(trained).read_weights("best")
    for name, tensor in network.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, first[name]), name
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen
    assert all(name.startswith("blocks.0.") for name in frozen)
    training = {name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d) and m.training}
    assert training
    assert not any(name.startswith("blocks.0.") for name in training)
    rates = {group["rate"] for group in task.parameter_groups(network)}
    assert rates == {task.settings.backbone_rate, 1.0}
    digest = hashlib.sha256((trained / "best.safetensors").read_bytes()).hexdigest()
    parent = {"file": "best.safetensors", "sha256": digest, "last_layer": "kept"}
    assert task.lineage()["parent"] == parent


def test_other_classes_get_a_last_layer_of_their_own(
    digits_recipe: Path, trained: Path, tmp_path: Path
) -> None:
    """As many as before, but not the same ones; and a file that does not say what its classes are."""
    names = [f"sign {number}" for number in range(10)]
    (tmp_path / "bare.safetensors").write_bytes((trained / "best.safetensors").read_bytes())
    for changes in (
        [f"start.weights={trained}", f"data.classes={names}"],
        [f"start.weights={tmp_path}/bare.safetensors"],
    ):
        task = open_digits(digits_recipe, *changes)
        network, first = task.build_network(), RunFolder(trained).read_weights("best")
        fresh = open_digits(digits_recipe).build_network()
        assert torch.equal(network.state_dict()["head.weight"], fresh.state_dict()["head.weight"])
        assert torch.equal(network.state_dict()["blocks.0.0.conv.weight"], first["blocks.0.0.conv.weight"])
        assert task.lineage()["parent"]["last_layer"] == "made anew"


@pytest.mark.parametrize("beside", ["task = 'classify'", "task = 'detect'", "not even TOML"])
def test_a_recipe_that_only_lies_beside_the_weights_says_nothing_of_them(
    beside: str, digits_recipe: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "bare.safetensors").write_bytes((trained / "best.safetensors").read_bytes())
    (tmp_path / "recipe.toml").write_text(beside)
    open_digits(
        digits_recipe, f"start.weights={tmp_path}/bare.safetensors", "picture.mean=[127]"
    ).build_network()


def test_a_report_needs_no_longer_what_the_training_started_from(
    digits_recipe: Path, trained: Path, tmp_path: Path
) -> None:
    start = tmp_path / "start.safetensors"
    start.write_bytes((trained / "best.safetensors").read_bytes())
    run = RunFolder(tmp_path / "run")
    task = open_digits(digits_recipe, f"start.weights={start}", "training.epochs=1")
    run.write_weights("best", task.build_network().state_dict(), {})
    start.unlink()
    assert write_report(run, task).is_file()
    with pytest.raises(TrainingError, match=r"start\.safetensors does not exist"):
        task.build_network()


def test_a_start_that_saw_other_numbers_is_refused(digits_recipe: Path, trained: Path) -> None:
    for change, key in (("picture.mean=[127]", "mean"), ("picture.scale=[1]", "scale")):
        task = open_digits(digits_recipe, f"start.weights={trained}", change)
        with pytest.raises(RecipeError, match=rf"picture\.{key} is .* trained with \[.*; set it so"):
            task.build_network()


def test_batch_norm_and_dropout_refuse_to_share_a_batch(digits_recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"batch norm .* one process"):
        open_digits(digits_recipe).check_shares()
    with pytest.raises(RecipeError, match=r"dropout .* one, or network\.dropout = 0"):
        open_digits(digits_recipe, "network.batch_norm=false", "network.dropout=0.5").check_shares()
    open_digits(digits_recipe, "network.batch_norm=false").check_shares()


def test_what_the_doctor_asks(digits_recipe: Path) -> None:
    task = open_digits(digits_recipe)
    network = task.build_network().eval()
    assert task.answer_widths(network) == (10, 10)
    batch = first_batch(task)
    other = task.mismatched(batch)  # type: ignore[arg-type]
    assert torch.equal(other.labels[1:], batch.labels[:-1])  # type: ignore[attr-defined]
    assert torch.equal(other.images_rgb_u8, batch.images_rgb_u8)  # type: ignore[attr-defined]
    share = task.right_share(network, batch)  # type: ignore[arg-type]
    assert share * 20 == pytest.approx(round(share * 20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("picture.mean=[1, 2, 3]", r"mean = \[1\.0, 2\.0, 3\.0\] has 3 numbers for channels = 1"),
        ("picture.channels=2", r"picture\.channels = 2"),
        ("picture.size=[4, 28]", r"picture\.size\.0 = 4"),
        ("picture.fit='pad'", r"picture\.fit = 'pad'"),
        ("network.kind='transformer'", r"transformer"),
        ("loss.label_smoothing=1", r"loss\.label_smoothing = 1"),
        ("training.l1=-1", r"training\.l1 = -1"),
        ("augment.rotate=999", r"rotate = 999"),
    ],
)
def test_a_wrong_setting_is_named(digits_recipe: Path, change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(digits_recipe, [change])


def test_a_split_that_is_not_there_is_named(digits_recipe: Path) -> None:
    recipe = load_recipe(digits_recipe, ["data.test=[]"])
    with pytest.raises(RecipeError, match=r"no data\.test"):
        load_split(recipe, "test")


def test_too_few_names_for_the_labels_are_refused(digits_recipe: Path) -> None:
    with pytest.raises(DataError, match="label 4, but there are 2 classes"):
        open_digits(digits_recipe, 'data.classes=["zero", "one"]')


def test_weights_of_another_network_are_refused(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "best.safetensors").write_bytes((trained / "best.safetensors").read_bytes())
    recipe = (trained / "recipe.toml").read_text()
    assert "    8,\n" in recipe
    (copy / "recipe.toml").write_text(recipe.replace("    8,\n", "    16,\n", 1))
    with pytest.raises(TrainingError, match="does not fit"):
        load_network(copy)
