"""Classification of clips: what is different from that of pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from tombola.train.data.labels.classification_set import ClassificationSet
from tombola.train.data.pictures.clips import side_by_side
from tombola.train.drawing.contact_sheet import Tile
from tombola.train.networks.classify.clip import ClipSettings
from tombola.train.tasks.classify.batches import Request
from tombola.train.tasks.classify.clip_batches import ClipBatch, ClipExample, ClipExamples, collate_clips
from tombola.train.tasks.classify.exhibits import classify_exhibits
from tombola.train.tasks.classify.recipe import ClassifyRecipe
from tombola.train.tasks.classify.task import ClassifyTask
from tombola.train.tasks.task import Exhibit, Tell, evenly, silent

# Clips that are judged at once.
JUDGED_TOGETHER = 32


class ClipAnswer(NamedTuple):
    """probabilities float32 [rows, classes]: one row for a clip, or one for each frame; places int64 [n],
    which frames of it were looked at."""

    probabilities: NDArray[np.float32]
    places: NDArray[np.int64]


class ClipTask(ClassifyTask):
    """One label for each clip, or for each frame of it; scored by the share of labels guessed right."""

    def __init__(self, recipe: ClassifyRecipe, widths: Mapping[str, int] | None = None) -> None:
        super().__init__(recipe, widths)
        assert isinstance(recipe.network, ClipSettings)
        self.of_frames = recipe.network.labels == "frame"

    def examples(self, *, augmented: bool = True) -> Dataset[Any]:
        picture = self.recipe.picture
        settings = self.recipe.augment if augmented else None
        return ClipExamples(self.train_data, picture.frames, picture.size, picture.fit, settings)

    def collate(self, examples: Sequence[Any]) -> Any:
        return collate_clips(examples, of_frames=self.of_frames)

    def mismatched(self, batch: Any) -> Any:
        # By half of all, for frames beside each other have one label.
        return replace(batch, labels=batch.labels.roll(len(batch.labels) // 2 if self.of_frames else 1))

    def guessed_score(self) -> float | None:
        return None if self.of_frames else super().guessed_score()

    def _known_labels(self) -> NDArray[np.int64]:
        steps = self.train_data.steps or ()
        return np.concatenate([one.labels for one in steps]) if self.of_frames else super()._known_labels()

    def shown(self, most: int) -> tuple[Sequence[Tile], Sequence[Tile]]:
        requests: list[Request] = sorted(chain.from_iterable(self.plan_epoch(0)), key=lambda one: one.index)
        plain, changed, examples = [], [], self.examples()
        for request in evenly(requests, most):
            example: ClipExample = examples[request]
            name = self.classes[int(example.labels[-1])]
            plain.append(Tile(self.train_data.read(request.index), name))
            changed.append(Tile(side_by_side(example.frames_rgb_u8), name))
        return plain, changed

    def exhibits(self, network: nn.Module, tell: Tell = silent) -> Sequence[Exhibit]:
        if self.valid_data is None:
            return ()
        found = clip_answers(network, self.recipe, self.valid_data, tell)
        # Of frames, a clip's last one is shown.
        return classify_exhibits(self.valid_data, np.stack([one.probabilities[-1] for one in found]))

    def _answers(
        self, network: nn.Module, data: ClassificationSet, tell: Tell
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        found = clip_answers(network, self.recipe, data, tell)
        labels = clip_labels(data, found)
        return np.concatenate([one.probabilities for one in found]), np.concatenate(labels)

    def _logits(self, network: nn.Module, batch: ClipBatch) -> Tensor:
        frames = self.picture_input.to(batch.frames_rgb_u8.device).normalise(batch.frames_rgb_u8)
        # What the right answers are is for those cells alone that are fed them, and while they learn.
        taught = batch.labels if self.of_frames and network.training else None
        logits: Tensor = network(frames, batch.lengths, taught)
        return logits


def clip_labels(data: ClassificationSet, answers: Sequence[ClipAnswer]) -> list[NDArray[np.int64]]:
    """The labels int64 [rows] of each clip's answer."""
    assert data.steps is not None
    return [
        steps.at(one.places)[-len(one.probabilities) :]
        for steps, one in zip(data.steps, answers, strict=True)
    ]


def clip_answers(
    network: nn.Module, recipe: ClassifyRecipe, data: ClassificationSet, tell: Tell = silent
) -> list[ClipAnswer]:
    """What the network says of the clips of `data`, in order."""
    device = next(network.parameters()).device
    picture_input = recipe.picture.as_input().to(device)
    shrink, most_frames = picture_input.shrink, recipe.picture.frames
    assert isinstance(recipe.network, ClipSettings)
    of_frames = recipe.network.labels == "frame"
    found: list[ClipAnswer] = []
    for start in range(0, len(data), JUDGED_TOGETHER):
        indices = range(start, min(start + JUDGED_TOGETHER, len(data)))
        clips = [data.clip(index, most_frames, shrink) for index in indices]
        frames = [picture_input.of_clip(torch.from_numpy(clip.frames_rgb_u8).to(device)) for clip in clips]
        lengths = [len(clip.places) for clip in clips]
        logits = network(torch.cat(frames), torch.tensor(lengths, device=device))
        rows = lengths if of_frames else [1] * len(clips)
        parts = logits.softmax(dim=1).float().cpu().numpy()
        found += [
            ClipAnswer(part, clip.places)
            for part, clip in zip(np.split(parts, np.cumsum(rows)[:-1]), clips, strict=True)
        ]
        tell(indices.stop, len(data))
    return found
