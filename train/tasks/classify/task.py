"""Classification: what a batch, a loss and a score are for it."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from tombola.errors import DataError, RecipeError
from tombola.train.data.labels import classify_formats
from tombola.train.data.labels.classification_set import ClassificationSet, merge
from tombola.train.data.present import check_present
from tombola.train.drawing.contact_sheet import Tile
from tombola.train.metrics.score import Score
from tombola.train.networks.classify.classifiers import Classifier, build_classifier
from tombola.train.networks.classify.clip import ClipNetwork, ClipSettings, build_clip_network
from tombola.train.networks.layers.soft_labels import soft_label_distance
from tombola.train.recipe.recipe import to_toml
from tombola.train.start.freeze import rest_frozen
from tombola.train.start.parent import Layers, freeze, lineage, parameter_groups, start_network
from tombola.train.start.teacher import load_teacher
from tombola.train.tasks.classify.batches import Batch, ClassifyExamples, Request, collate, plan_epoch
from tombola.train.tasks.classify.exhibits import classify_exhibits
from tombola.train.tasks.classify.recipe import ClassifyRecipe, ClassifySource, OfLabelled
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.shares import check_layers
from tombola.train.tasks.task import Exhibit, Tell, evenly, silent

LAYERS = Layers(last=("pool.", "head."))

# Pictures that are judged at once.
JUDGED_TOGETHER = 256


class ClassifyTask:
    """One label for each picture; scored by the share of labels guessed right."""

    score = Score("accuracy", "share", higher_is_better=True)

    def __init__(self, recipe: ClassifyRecipe, widths: Mapping[str, int] | None = None) -> None:
        """Load the data and check it. Raises DataError."""
        self.recipe = recipe
        self.widths: Mapping[str, int] = widths or {}
        self.name = recipe.name
        self.settings = recipe.training
        self.seed = recipe.seed
        self.train_data = load_split(recipe, "train")
        self.classes = self.train_data.classes
        if len(self.classes) < 2:
            raise DataError(
                f"data.train holds one class, {self.classes[0]!r}, and nothing to tell it from; give each "
                "class a folder directly in `pictures`, or name all in data.classes"
            )
        self.valid_data = load_split(recipe, "valid", self.classes) if recipe.data.valid else None
        self.picture_input = recipe.picture.as_input()

    def check_test(self) -> None:
        data = self.recipe.data
        named = [name for source in data.test for name in (source.pictures, source.labels) if name]
        check_present(data.root, named, "data.test")

    def check_shares(self) -> None:
        network = self.build_network(start=False)
        check_layers(network, batch_norm="network.batch_norm = false", dropout="network.dropout = 0")

    def recipe_toml(self) -> str:
        return to_toml(self.recipe.with_classes(self.classes))

    def lineage(self) -> dict[str, Any]:
        return lineage(self.recipe, self.classes, LAYERS)

    def build_network(self, *, start: bool = True) -> nn.Module:
        torch.manual_seed(self.seed)
        network = build(self.recipe, len(self.classes), self.widths)
        for name, module in network.named_modules():
            if self.settings.batch_size == 1 and isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise RecipeError(
                    f"the batch norm {name} cannot learn from training.batch_size = 1; raise it, or set "
                    "network.batch_norm = false"
                )
        # What is narrower than its recipe has no first weights but its own.
        if start and not self.widths:
            start_network(network, self.recipe, self.classes, LAYERS)
        freeze(network, self.recipe)
        return network

    def prepare(self, network: nn.Module, moment: Moment) -> None:  # noqa: ARG002  # the same at any
        network.train()
        rest_frozen(network)

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        return parameter_groups(network, self.recipe, LAYERS)

    def plan_epoch(self, epoch: int) -> list[list[Request]]:
        return plan_epoch(
            len(self.train_data), batch_size=self.settings.batch_size, seed=self.seed, epoch=epoch
        )

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        picture = self.recipe.picture
        return ClassifyExamples(
            self.train_data, picture.size, picture.fit, self.recipe.augment if augmented else None
        )

    def collate(self, examples: Sequence[Any]) -> Batch:
        return collate(examples)

    def losses(self, network: nn.Module, batch: Batch, moment: Moment) -> Mapping[str, Tensor]:  # noqa: ARG002
        return self._label_loss(self._logits(network, batch), batch)

    def _label_loss(self, logits: Tensor, batch: Any) -> dict[str, Tensor]:
        smoothing = self.recipe.loss.label_smoothing
        return {"cross_entropy": F.cross_entropy(logits, batch.labels, label_smoothing=smoothing)}

    def load_teacher(self) -> nn.Module | None:
        teacher = load_teacher(self.recipe, self.classes, build)
        if teacher is not None and teacher.recipe.picture.size != self.recipe.picture.size:
            raise RecipeError(
                f"distill.teacher sees pictures of {list(teacher.recipe.picture.size)} pixels, this network "
                f"of {list(self.recipe.picture.size)}; set picture.size alike"
            )
        return None if teacher is None else teacher.network

    def lesson(self, teacher: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = teacher(self._seen(batch))
        return logits

    def taught_losses(
        self,
        network: nn.Module,
        batch: Batch,
        moment: Moment,  # noqa: ARG002  # the same at any
        lesson: Tensor,
    ) -> Mapping[str, Tensor]:
        logits = network(self._seen(batch))
        settings = self.recipe.distill
        distance = soft_label_distance(logits, lesson, settings.temperature).mean()
        return {**self._label_loss(logits, batch), "soft_labels": settings.weight * distance}

    def evaluate(self, network: nn.Module, tell: Tell = silent) -> dict[str, float]:
        if self.valid_data is None:
            return {}
        probabilities, labels = self._answers(network, self.valid_data, tell)
        likelihoods = np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, None)
        return {
            self.score.name: float((probabilities.argmax(axis=1) == labels).mean()),
            "cross_entropy": float(-np.log(likelihoods).mean()),
        }

    def guessed_score(self) -> float | None:
        if self.valid_data is None:
            return None
        return float(np.bincount(self.valid_data.labels).max() / len(self.valid_data))

    def answer_widths(self, network: nn.Module) -> tuple[int, int]:
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear)
        return head.out_features, len(np.unique(self._known_labels()))

    def _known_labels(self) -> NDArray[np.int64]:
        """All that training pictures have."""
        return self.train_data.labels

    def expected_losses(self) -> Mapping[str, float]:
        return {"cross_entropy": math.log(len(self.classes))}

    def unused_classes(self) -> Sequence[str]:
        counts = np.bincount(self._known_labels(), minlength=len(self.classes))
        return [name for name, count in zip(self.classes, counts.tolist(), strict=True) if count == 0]

    def same_labels(self, batch: Batch) -> bool:
        return bool((batch.labels == batch.labels[0]).all())

    def mismatched(self, batch: Batch) -> Batch:
        return Batch(batch.images_rgb_u8, batch.labels.roll(1))

    def right_share(self, network: nn.Module, batch: Batch) -> float:
        return float((self._logits(network, batch).argmax(dim=1) == batch.labels).float().mean())

    def shown(self, most: int) -> tuple[Sequence[Tile], Sequence[Tile]]:
        requests = sorted(chain.from_iterable(self.plan_epoch(0)), key=lambda one: one.index)
        plain, changed, examples = [], [], self.examples()
        for request in evenly(requests, most):
            image_rgb_u8, label = examples[request]
            plain.append(Tile(self.train_data.read(request.index), self.classes[label]))
            changed.append(Tile(image_rgb_u8, self.classes[label]))
        return plain, changed

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit]:
        if self.valid_data is None:
            return ()
        return classify_exhibits(self.valid_data, answers(network, self.recipe, self.valid_data, tell))

    def _answers(
        self, network: nn.Module, data: ClassificationSet, tell: Tell
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Probabilities float32 [n, classes], and the labels int64 [n] that they are held to."""
        return answers(network, self.recipe, data, tell), data.labels

    def _logits(self, network: nn.Module, batch: Any) -> Tensor:
        """A row for each of the batch's labels."""
        logits: Tensor = network(self._seen(batch))
        return logits

    def _seen(self, batch: Batch) -> Tensor:
        images = self.picture_input.to(batch.images_rgb_u8.device).normalise(batch.images_rgb_u8)
        return images.contiguous(memory_format=torch.channels_last)


def build(
    recipe: ClassifyRecipe, n_classes: int, widths: Mapping[str, int] | None = None
) -> Classifier | ClipNetwork:
    """The network of the recipe with fresh weights; `widths` by the name of an axis stand in for the
    recipe's. Raises TrainingError for widths of another network."""
    picture = recipe.picture
    sizes: dict[str, Any] = {"channels": picture.channels, "size_hw": picture.size, "n_classes": n_classes}
    if isinstance(recipe.network, ClipSettings):
        return build_clip_network(recipe.network, **sizes, widths=widths)
    return build_classifier(recipe.network, **sizes, widths=widths)


def load_split(recipe: OfLabelled, split: str, classes: Sequence[str] | None = None) -> ClassificationSet:
    """The pictures of data.train, data.valid or data.test. Raises DataError; RecipeError if the split is not
    given."""
    sources: tuple[ClassifySource, ...] = getattr(recipe.data, split)
    if not sources:
        raise RecipeError(f"the recipe has no data.{split}; add [[data.{split}]] with pictures")
    root = recipe.data.root
    wanted = classes or recipe.data.classes or None
    sets = [
        classify_formats.load(
            root / source.pictures,
            root / source.labels if source.labels else None,
            wanted,
            recipe.data.format,
        ).fold(source.folds)
        for source in sources
    ]
    return merge(sets)


def answers(
    network: nn.Module, recipe: ClassifyRecipe, data: ClassificationSet, tell: Tell = silent
) -> NDArray[np.float32]:
    """Probabilities float32 [n, classes] of the pictures of `data` in order."""
    device = next(network.parameters()).device
    picture_input, parts = recipe.picture.as_input().to(device), []
    for start in range(0, len(data), JUDGED_TOGETHER):
        indices = range(start, min(start + JUDGED_TOGETHER, len(data)))
        pictures = [data.picture(index, picture_input.shrink).image_rgb_u8 for index in indices]
        images = torch.cat([picture_input(torch.from_numpy(image).to(device)) for image in pictures])
        logits = network(images.contiguous(memory_format=torch.channels_last))
        parts.append(logits.softmax(dim=1).float().cpu().numpy())
        tell(indices.stop, len(data))
    return np.concatenate(parts)
