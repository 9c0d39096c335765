"""A classifier's pictures as the network takes them, in memory, so that thousands of trainings can be fed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.tasks.classify.batches import ClassifyExamples, Request, collate
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.classify.task import ClassifyTask, load_split
from tombola.train.tasks.task import several


@dataclass(frozen=True)
class Split:
    """images: float32 [n, pixels], normalised. labels: int64 [n]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class InMemory:
    """What a study learns from, stops by and reports on."""

    train: Split
    valid: Split
    test: Split


def in_memory(task: ClassifyTask) -> InMemory:
    """All pictures of a task, nothing augmented. Raises DataError, RecipeError if a split is not given."""
    splits = (load_split(task.recipe, name, task.classes) for name in ("valid", "test"))
    return InMemory(_split(task.recipe, task.train_data), *(_split(task.recipe, one) for one in splits))


def _split(recipe: ClassifyRecipe, data: ClassificationSet) -> Split:
    examples = ClassifyExamples(data, recipe.picture.size, recipe.picture.fit, None)
    whole = collate(several(examples, [Request(index, 0) for index in range(len(data))]))
    images = torch.cat(
        [recipe.picture.as_input().normalise(part).flatten(1) for part in whole.images_rgb_u8.split(1000)]
    )
    return Split(images, whole.labels)
