"""The preflight: each planted fault is found by its own check, and nothing else is blamed."""

import gzip
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tombola.errors import TrainingError
from tombola.train.doctor.checks import handful, label_gain, range_test
from tombola.train.doctor.preflight import CHECKS, Preflight, preflight
from tombola.train.tasks.table import open_task
from tombola.train.train import preflight_recipe


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def examine(recipe: Path, *changes: str) -> Preflight:
    return preflight(open_task(recipe, changes))


def levels(result: Preflight) -> dict[str, str]:
    return {finding.check: finding.level for finding in result.findings}


def the_fault(result: Preflight) -> tuple[str, str]:
    """Check and sentence of the one fault; no warning may point elsewhere."""
    faults = [finding for finding in result.findings if finding.level == "fault"]
    assert len(faults) == 1, result.findings
    assert "warning" not in levels(result).values(), result.findings
    return faults[0].check, faults[0].sentence


AUGMENT = "augment={translate=0.1, rotate=10.0, stretch=0.1, shear=5.0, crop=0.8}"
MLP = "network={kind='mlp', widths=[64, 32]}"


@pytest.mark.parametrize(
    "changes", [(), (MLP, AUGMENT), ("training.optimizer='sgd'", "training.learning_rate=0.05")]
)
def test_a_healthy_recipe_has_no_fault(digits_recipe: Path, changes: tuple[str, ...]) -> None:
    result = examine(digits_recipe, *changes)
    assert [finding.check for finding in result.findings] == list(CHECKS)
    wanted = dict.fromkeys(CHECKS, "ok") | ({} if AUGMENT in changes else {"augmentation": "skipped"})
    assert levels(result) == wanted, result.findings
    assert not result.has_fault
    assert result.range_test is not None
    assert result.range_test.suggested_rate is not None
    assert 1e-4 < result.range_test.suggested_rate < 0.2


@pytest.mark.slow
def test_shuffled_labels_are_found(digits_recipe: Path, digits_data: Path, tmp_path: Path) -> None:
    labels = gzip.decompress((digits_data / "labels.gz").read_bytes())
    shuffled = np.random.default_rng(1).permutation(np.frombuffer(labels, np.uint8, offset=8))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(labels[:8] + shuffled.tobytes()))
    (tmp_path / "images.gz").write_bytes((digits_data / "images.gz").read_bytes())
    every = "data.train=[{pictures='images.gz', labels='labels.gz'}]"
    result = examine(digits_recipe, MLP, f"data.root={str(tmp_path)!r}", every, "data.test=[]")
    assert [finding.check for finding in result.findings if finding.level == "fault"] == ["labels"]
    sentence = result.findings[CHECKS.index("labels")].sentence
    assert "say nothing about the pictures" in sentence
    assert "shuffled" in sentence
    # No rate can help, and none is blamed.
    rate = result.findings[CHECKS.index("learning rate")]
    assert rate.level in ("ok", "warning")
    assert "too high" not in rate.sentence
    assert levels(result)["augmentation"] == "skipped"


@pytest.mark.parametrize(
    "changes",
    [
        ("training.learning_rate=5.0",),
        (MLP, "training.learning_rate=5.0"),
        (MLP, "training.optimizer='sgd'", "training.learning_rate=50.0"),
    ],
)
def test_a_learning_rate_a_thousand_times_too_high_is_found(
    digits_recipe: Path, changes: tuple[str, ...]
) -> None:
    result = examine(digits_recipe, *changes)
    check, sentence = the_fault(result)
    assert check == "learning rate"
    assert "is too high" in sentence
    assert levels(result)["labels"] == "ok"


@pytest.mark.parametrize("kind", ["cnn", "mlp"])
def test_zero_first_weights_are_found(digits_recipe: Path, kind: str) -> None:
    network = f"network={{kind={kind!r}, initialisation='zeros'}}"
    check, sentence = the_fault(examine(digits_recipe, network))
    assert check == "first weights"
    assert "are all zero" in sentence
    assert "stay alike for ever" in sentence


def test_twenty_sigmoid_layers_are_found(digits_recipe: Path) -> None:
    network = f"network={{kind='mlp', widths={[32] * 20}, activation='sigmoid'}}"
    check, sentence = the_fault(examine(digits_recipe, network))
    assert check == "gradients"
    assert "vanishes" in sentence
    assert "20 sigmoid layers" in sentence


@pytest.mark.parametrize("network", ["network.kind='cnn'", MLP])
def test_inputs_that_are_not_normalised_are_found(digits_recipe: Path, network: str) -> None:
    check, sentence = the_fault(examine(digits_recipe, network, "picture.mean=[0.0]", "picture.scale=[1.0]"))
    assert check == "inputs"
    assert "not normalised" in sentence


def test_a_last_layer_of_the_wrong_width_is_found(digits_recipe: Path) -> None:
    classes = [str(digit) for digit in range(10)] + ["ten", "eleven"]
    result = examine(digits_recipe, f"data.classes={classes}")
    check, sentence = the_fault(result)
    assert check == "answer width"
    assert "12 classes" in sentence
    assert "labels use 10" in sentence
    assert set(list(levels(result).values())[1:]) == {"skipped"}


def test_a_last_layer_that_is_too_narrow_is_found(
    digits_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = open_task(digits_recipe)
    full = task.build_network

    def narrow() -> torch.nn.Module:
        network = full()
        network.head = torch.nn.Linear(32, 7)
        return network

    monkeypatch.setattr(task, "build_network", narrow)
    check, sentence = the_fault(preflight(task))
    assert check == "answer width"
    assert "7 classes" in sentence
    assert "widen it" in sentence


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe for pictures of the letters b and d, which are mirror images."""
    root = tmp_path_factory.mktemp("letters")
    rng = np.random.default_rng(2)
    for letter in "bd":
        (root / letter).mkdir()
        for number in range(200):
            image = np.zeros((28, 28, 3), np.uint8)
            corner = (int(rng.integers(6, 10)), int(rng.integers(18, 23)))
            cv2.putText(image, "b", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.65, (255,) * 3, 1, cv2.LINE_AA)
            # From one drawing, so that nothing but the side of the bow tells them apart.
            image = np.ascontiguousarray(image[:, ::-1]) if letter == "d" else image
            cv2.imwrite(str(root / letter / f"{number:03d}.png"), image)
    path = root / "letters.toml"
    path.write_text(
        """
task = "classify"
name = "letters"
seed = 5
[data]
format = "folder"
train = [{ pictures = "." }]
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
batch_size = 20
learning_rate = 5e-3
workers = 0
"""
    )
    return path


def test_augmentation_that_destroys_the_label_is_found(letters: Path) -> None:
    result = examine(letters, "augment={flip=0.5}")
    check, sentence = the_fault(result)
    assert check == "augmentation"
    assert "destroys" in sentence
    assert levels(result)["labels"] == "ok"


def test_the_same_letters_may_be_turned_a_little(letters: Path) -> None:
    assert set(levels(examine(letters, "augment={rotate=10.0, translate=0.1}")).values()) == {"ok"}


def test_labels_that_contradict_each_other_cannot_be_learnt_by_heart(
    letters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handful, "STEPS", 30)
    picture = (letters.parent / "b" / "000.png").read_bytes()
    for name in "bd":
        (tmp_path / name).mkdir()
        for number in range(20):
            (tmp_path / name / f"{number}.png").write_bytes(picture)
    check, sentence = the_fault(examine(letters, f"data.root={str(tmp_path)!r}"))
    assert check == "handful"
    assert "contradict" in sentence


def test_first_weights_that_are_too_large_are_found(digits_recipe: Path) -> None:
    network = "network={kind='mlp', widths=[512, 512], initialisation='normal'}"
    check, sentence = the_fault(examine(digits_recipe, network))
    assert check == "first loss"
    assert f"{math.log(10):.3g}" in sentence


def test_penalties_that_would_rule_are_told(digits_recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_test, "MOST_STEPS", 40)
    result = examine(digits_recipe, "training.l2=10.0")
    assert levels(result)["penalty"] == "warning"
    assert "training.l2 = 10" in result.findings[CHECKS.index("penalty")].sentence


@pytest.mark.parametrize("recipe", ["toy_recipe", "digits_recipe"])
def test_a_slow_machine_is_no_fault(
    recipe: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector, and a classifier: with hardly any time, less is known, and nothing is blamed."""
    monkeypatch.setattr(handful, "SECONDS", 0.5)
    monkeypatch.setattr(range_test, "SECONDS", 0.0)
    monkeypatch.setattr(range_test, "FEWEST_STEPS", 8)
    monkeypatch.setattr(label_gain, "SECONDS", 0.5)
    monkeypatch.setattr(label_gain, "FIRST_LOOK", 2)
    result = examine(request.getfixturevalue(recipe))
    assert [finding.check for finding in result.findings] == list(CHECKS)
    assert not result.has_fault, result.findings


def test_the_run_folder_keeps_it(digits_recipe: Path, tmp_path: Path) -> None:
    told: list[str] = []
    change = [MLP, "training.learning_rate=5.0"]
    run, result = preflight_recipe(
        digits_recipe, tmp_path / "run", overrides=change, device="cpu", say=told.append
    )
    assert sorted(path.name for path in run.path.iterdir()) == ["preflight.json", "range_test.png"]
    content = json.loads((run.path / "preflight.json").read_text())
    assert [one["check"] for one in content["findings"]] == list(CHECKS)
    assert content["learning_rate"] == 5.0
    assert len(content["range_test"]["rates"]) == len(content["range_test"]["losses"])
    picture = cv2.imread(str(run.path / "range_test.png"))
    assert picture is not None
    assert picture.shape[0] > 300
    assert [line for line in told if line.endswith("…")] == [f"{check} …" for check in CHECKS]
    # The same again: nothing of it depends on what ran before.
    torch.manual_seed(99)
    assert preflight(open_task(digits_recipe, change)).findings == result.findings


def test_several_processes_are_refused(
    digits_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        preflight_recipe(digits_recipe, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_cannot_be_filled_is_named(digits_recipe: Path) -> None:
    with pytest.raises(TrainingError, match=r"batch_size = 9999"):
        examine(digits_recipe, "training.batch_size=9999")
