"""The recipe of a generator."""

from typing import Any, Literal

from pydantic import model_validator

from tombola.train.data.augment.warp import WarpSettings
from tombola.train.networks.generate.generators import NetworkSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.recipe.recipe import Level, Recipe, RunName, Scale
from tombola.train.tasks.classify.recipe import ClassifyData, LabelledPicture, Side


class GeneratePicture(LabelledPicture):
    """What is learned and made: size in pixels (height, width), 3 channels or 1 (grey), levels of 0..1, for
    which mean is 0 and scale 1/255, a number a channel.

    fit "crop" takes the largest part around the centre, "stretch" the whole picture whatever its shape.
    """

    size: tuple[Side, Side] = (28, 28)
    channels: Literal[1, 3] = 1
    mean: tuple[Level, ...] = (0.0,)
    scale: tuple[Scale, ...] = (1 / 255,)

    @model_validator(mode="before")
    @classmethod
    def _as_many_as_channels(cls, table: Any) -> Any:
        if not isinstance(table, dict) or table.get("channels") != 3:
            return table
        return {"mean": [0.0] * 3, "scale": [1 / 255] * 3, **table}

    @model_validator(mode="after")
    def _levels_of_one(self) -> "GeneratePicture":
        if any(self.mean) or any(abs(255 * scale - 1) > 1e-3 for scale in self.scale):
            raise ValueError(
                "a generator makes levels of 0..1; mean = 0 and scale = 1/255, or leave both out"
            )
        return self

    @property
    def shape(self) -> PictureShape:
        return PictureShape(self.channels, *self.size)


class GenerateRecipe(Recipe):
    """Everything that decides what a generator becomes. task says that it is one, name what its run is
    called, and seed what is drawn at random."""

    task: Literal["generate"]
    name: RunName = "generator"
    data: ClassifyData
    picture: GeneratePicture = GeneratePicture()
    network: NetworkSettings
    augment: WarpSettings = WarpSettings()

    @model_validator(mode="after")
    def _of_pictures(self) -> "GenerateRecipe":
        if self.data.format == "clips":
            raise ValueError('format = "clips" is for classifiers; a generator learns from single pictures')
        return self
