"""A classifier's training that goes on elsewhere, with other workers, or longer."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tombola.errors import RecipeError, TrainingError
from tombola.train.loop.loop import Interrupted
from tombola.train.tasks.classify.task import ClassifyTask
from tombola.train.train import train_recipe

pytestmark = pytest.mark.usefixtures("no_drawing")


def trained(recipe: Path, run: Path, *changes: str, **options: Any) -> dict[str, torch.Tensor]:
    folder = train_recipe(recipe, run, overrides=changes, device="cpu", quiet=True, **options)
    return folder.read_weights("last")


def test_a_run_goes_on_with_moved_pictures_and_other_workers_and_then_longer(
    digits_recipe: Path, digits_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("training.epochs=2", "network.blocks=[[4]]", "network.dense=[8]", "training.batch_size=50")
    whole = trained(digits_recipe, tmp_path / "whole", *small)
    losses, calls = ClassifyTask.losses, iter(range(1, 100))

    def interrupted(*arguments: Any) -> Any:
        if next(calls) == 13:
            signal.raise_signal(signal.SIGINT)
        return losses(*arguments)

    monkeypatch.setattr(ClassifyTask, "losses", interrupted)
    with pytest.raises(Interrupted):
        trained(digits_recipe, tmp_path / "parts", *small)
    monkeypatch.setattr(ClassifyTask, "losses", losses)
    shutil.copytree(digits_data, tmp_path / "moved")
    moved = f"data.root={str(tmp_path / 'moved')!r}"
    run_recipe = tmp_path / "parts" / "recipe.toml"
    parts = trained(run_recipe, tmp_path / "parts", moved, "training.workers=1", resume=True)
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())
    assert str(tmp_path / "moved") in run_recipe.read_text()
    with pytest.raises(RecipeError, match=r"training\.epochs differ"):
        trained(run_recipe, tmp_path / "parts", "training.epochs=1", resume=True)
    with pytest.raises(RecipeError, match=r"training\.learning_rate differ"):
        trained(run_recipe, tmp_path / "parts", "training.learning_rate=1.0", resume=True)
    fewer = "data.train=[{ pictures = 'test-images.gz', labels = 'test-labels.gz' }]"
    with pytest.raises((RecipeError, TrainingError)):
        trained(run_recipe, tmp_path / "parts", fewer, resume=True)
    # Other pictures under the same names.
    for name in ("images.gz", "labels.gz"):
        shutil.copy(digits_data / f"test-{name}", tmp_path / "moved" / name)
    with pytest.raises(TrainingError, match="not those that"):
        trained(run_recipe, tmp_path / "parts", resume=True)
    back = f"data.root={str(digits_data)!r}"
    longer = trained(run_recipe, tmp_path / "parts", back, "training.epochs=3", resume=True)
    assert any(not torch.equal(tensor, longer[name]) for name, tensor in parts.items())
    assert (tmp_path / "parts" / "metrics.csv").read_text().count("\n") == 4
