"""The recipe of a classifier."""

from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from tombola.train.data.augment.warp import WarpSettings
from tombola.train.data.labels import classify_formats
from tombola.train.networks.classify.classifiers import NetworkSettings
from tombola.train.networks.classify.clip import ClipSettings
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.recipe.recipe import (
    DataSettings,
    Level,
    PictureSettings,
    RunName,
    Scale,
    Section,
    TaughtRecipe,
)
from tombola.train.resize.fit import Fit

Side = Annotated[int, Field(ge=8, le=4096)]


class ClassifySource(Section):
    """One labelled set: pictures (a folder, tar or file) under data.root, and the folds of it that are meant
    ("0/5": every fifth picture, starting with the first; "!0/5": all others). `labels` is for formats that
    keep them in a file of their own.
    """

    pictures: str
    labels: str = ""
    folds: tuple[str, ...] = ()


class ClassifyData(DataSettings):
    """Where the pictures are. `valid` chooses the best weights; `test` is touched by `evaluate` alone.

    format: "idx" (MNIST's idx-ubyte files), "cifar" (CIFAR's python batches), "folder" (a folder a class),
    "clips" (a folder of clips a class; or clips in a folder, and `labels` a table of clip, frame and label).
    classes: names in the order of the labels; a folder's are the names of its subfolders without it.
    root: the folder that all paths are meant from. rights: whose the pictures are.
    """

    format: classify_formats.FormatName = "folder"
    train: tuple[ClassifySource, ...] = Field(min_length=1)
    valid: tuple[ClassifySource, ...] = ()
    test: tuple[ClassifySource, ...] = ()


class OfLabelled(Protocol):
    """A recipe whose pictures have labels, whatever is learnt from them."""

    @property
    def data(self) -> ClassifyData: ...


class LabelledPicture(PictureSettings):
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
    def _one_a_channel(self) -> "LabelledPicture":
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


class ClassifyPicture(LabelledPicture):
    """What the network sees: size in pixels (height, width), 3 channels or 1 (grey), and (x - mean) * scale
    on 0..255, one number a channel.

    fit "crop" takes the largest part around the centre, "stretch" the whole picture whatever its shape.
    frames: of a clip, at most so many, evenly spread.
    """

    frames: int = Field(default=16, ge=1, le=4096)


class ClassifyLoss(Section):
    """Cross-entropy against (1 - label_smoothing) of the label and the rest spread over all classes
    (Szegedy et al. 2016, section 7)."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class ClassifyRecipe(TaughtRecipe):
    """Everything that decides what a classifier becomes. task says that it is one, name what its run is
    called, and seed what is drawn at random."""

    task: Literal["classify"]
    name: RunName = "classifier"
    data: ClassifyData
    picture: ClassifyPicture = ClassifyPicture()
    network: Annotated[NetworkSettings | ClipSettings, Field(discriminator="kind")]
    augment: WarpSettings = WarpSettings()
    loss: ClassifyLoss = ClassifyLoss()

    @model_validator(mode="after")
    def _clips_for_clips(self) -> "ClassifyRecipe":
        if (self.data.format == "clips") != isinstance(self.network, ClipSettings):
            raise ValueError(
                f'network.kind = "{self.network.kind}" cannot learn from data.format = "{self.data.format}"; '
                'kind = "clip" and format = "clips" belong together'
            )
        if isinstance(self.network, ClipSettings) and self.distill.teacher is not None:
            raise ValueError("distill.teacher is for networks of pictures; leave it out for clips")
        return self
