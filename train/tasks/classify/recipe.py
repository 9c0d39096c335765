"""The recipe of a classifier."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tombola.train.data.pictures.warp import Fit, WarpSettings
from tombola.train.networks.classify.classifiers import NetworkSettings
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.recipe.recipe import RunName, Section, TrainingSettings

Level = Annotated[float, Field(ge=0, le=255)]
Scale = Annotated[float, Field(gt=0)]
Side = Annotated[int, Field(ge=8, le=4096)]


class ClassifySource(Section):
    """One labelled set: paths under data.root, and the folds of it that are meant ("0/5": every fifth
    picture, starting with the first; "!0/5": all others). `labels` is for formats that keep them in a file of
    their own.
    """

    pictures: str
    labels: str = ""
    folds: tuple[str, ...] = ()


class ClassifyData(Section):
    """Where the pictures are. `valid` chooses the best weights; `test` is touched by `evaluate` alone.

    format: "idx" (MNIST's idx-ubyte files), "cifar" (CIFAR's python batches), "folder" (a folder a class).
    classes: names in the order of the labels; a folder's are the names of its subfolders without it.
    """

    format: Literal["idx", "cifar", "folder"] = "folder"
    root: str = "."
    classes: tuple[str, ...] = ()
    train: tuple[ClassifySource, ...] = Field(min_length=1)
    valid: tuple[ClassifySource, ...] = ()
    test: tuple[ClassifySource, ...] = ()
    rights: str = ""


class ClassifyPicture(Section):
    """What the network sees: size in pixels (height, width), 3 channels or 1 (grey), and (x - mean) * scale
    on 0..255, one number a channel.

    fit "crop" takes the largest part around the centre, "stretch" the whole picture whatever its shape.
    """

    size: tuple[Side, Side] = (224, 224)
    channels: Literal[1, 3] = 3
    fit: Fit = "crop"
    mean: tuple[Level, ...] = (127.0, 127.0, 127.0)
    scale: tuple[Scale, ...] = (1 / 64, 1 / 64, 1 / 64)

    @model_validator(mode="after")
    def _one_a_channel(self) -> "ClassifyPicture":
        for name in ("mean", "scale"):
            values = getattr(self, name)
            if len(values) != self.channels:
                raise ValueError(
                    f"{name} = {list(values)} has {len(values)} numbers for channels = {self.channels}"
                )
        return self

    def as_input(self) -> ClassifierInput:
        """The module that does it."""
        return ClassifierInput(
            self.size, fit=self.fit, channels=self.channels, mean=self.mean, scale=self.scale
        )


class ClassifyStart(Section):
    """What the first weights are taken from: a run folder or a state dict (.safetensors, .pth); empty for
    fresh ones. The last layer is made anew, unless it is a run's with the same classes in the same order.
    `freeze` names the last of the layers, counted from the picture, that keep their weights.
    """

    weights: str = ""
    freeze: str = ""


class ClassifyLoss(Section):
    """Cross-entropy against (1 - label_smoothing) of the label and the rest spread over all classes
    (Szegedy et al. 2016, section 7)."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class ClassifyRecipe(Section):
    """Everything that decides what a classifier becomes."""

    task: Literal["classify"]
    name: RunName = "classifier"
    seed: int = Field(default=0, ge=0, lt=2**31)
    data: ClassifyData
    picture: ClassifyPicture = ClassifyPicture()
    network: NetworkSettings
    start: ClassifyStart = ClassifyStart()
    augment: WarpSettings = WarpSettings()
    loss: ClassifyLoss = ClassifyLoss()
    training: TrainingSettings = TrainingSettings()

    def located(self, folder: Path) -> "ClassifyRecipe":
        """The same recipe with paths made absolute; relative ones are meant from the recipe's folder."""
        root = str((folder / self.data.root).resolve())
        weights = str((folder / self.start.weights).resolve()) if self.start.weights else ""
        return self.model_copy(
            update={
                "data": self.data.model_copy(update={"root": root}),
                "start": self.start.model_copy(update={"weights": weights}),
            }
        )
