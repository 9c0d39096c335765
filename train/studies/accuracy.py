"""How many pictures of a split a classifier has right."""

import torch
from torch import nn

from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.classify.task import answers, load_split


def share_right(network: nn.Module, recipe: ClassifyRecipe, split: str) -> float:
    """0 … 1, of a network in eval mode whose recipe names its classes; split: train, valid or test. Raises
    DataError and RecipeError."""
    data = load_split(recipe, split, recipe.data.classes)
    with torch.inference_mode():
        found = answers(network, recipe, data)
    return float((found.argmax(axis=1) == data.labels).mean())
