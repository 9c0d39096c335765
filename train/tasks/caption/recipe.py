"""The recipe of a captioner."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tombola.train.data.augment.warp import WarpSettings
from tombola.train.data.captions.formats import FormatName
from tombola.train.networks.caption.captioner import CaptionerSettings
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.recipe.recipe import DataSettings, Level, PictureSettings, Recipe, RunName, Scale, Section

Side = Annotated[int, Field(ge=32, le=4096)]


class CaptionSource(Section):
    """One captioned set: a file of captions and the folder or tar of their pictures, under data.root; clips
    lie in a folder, and one of them may be a folder of frames. split: that of the file which is meant ("" is
    all of it); and folds of that ("0/5": every fifth picture, "!0/5": all others)."""

    captions: str
    pictures: str
    split: str = ""
    folds: tuple[str, ...] = ()


class CaptionData(DataSettings):
    """Where the captioned pictures are. `valid` chooses the best weights; `test` is touched by `evaluate`
    alone.

    format: "karpathy" (Karpathy's JSON), "coco-captions", "flickr-tokens" (Flickr8k.token.txt) or "csv" (file
    and caption, a row a caption); the first alone has splits. least_count: a word that training captions say
    less often is unknown. looks: with a frozen encoder, how many versions of a picture [augment] makes, whose
    maps are computed once and kept in memory; 0 makes a new one each time. classes: the words, the place is
    the token; training fills them in. root: the folder that all paths are meant from. rights: whose the
    pictures are.
    """

    format: FormatName = "karpathy"
    least_count: int = Field(default=5, ge=1)
    looks: int = Field(default=0, ge=0, le=100)
    train: tuple[CaptionSource, ...] = Field(min_length=1)
    valid: tuple[CaptionSource, ...] = ()
    test: tuple[CaptionSource, ...] = ()


class CaptionPicture(PictureSettings):
    """What the network sees: the whole picture, stretched to size in pixels (height, width), and
    (x - mean) * scale on 0..255, one number a channel. frames: of a clip so many, evenly spread, some more
    than once where it has fewer, for a network with [network.clip]; 0 for pictures."""

    size: tuple[Side, Side] = (224, 224)
    frames: int = Field(default=0, ge=0, le=256)
    mean: tuple[Level, Level, Level] = (127.0, 127.0, 127.0)
    scale: tuple[Scale, Scale, Scale] = (1 / 128, 1 / 128, 1 / 128)

    def as_input(self) -> ClassifierInput:
        """The module that does it."""
        return ClassifierInput(self.size, fit="stretch", channels=3, mean=self.mean, scale=self.scale)


class CaptionLoss(Section):
    """Cross-entropy of each next word against (1 - label_smoothing) of it and the rest spread over all words;
    and attention · the mean over cells of (1 - the sum of the cell's weights)², so that each cell is looked
    at once (Xu et al. 2015, section 4.2.1). own_words: the share of the words before a word that are what the
    network itself would have said there, at the end of training; it rises from 0 (Bengio et al. 2015).
    self_critical: the share of the loss that is CIDEr-D's: of captions that the network draws, as many a
    picture as people said but two at least, the better ones become more probable (Rennie et al. 2017). It is
    for a network that says sentences already (start.weights), at a tenth of the rate."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    attention: float = Field(default=1.0, ge=0)
    own_words: float = Field(default=0.0, ge=0, le=1)
    self_critical: float = Field(default=0.0, ge=0, le=1)


class CaptionAnswer(Section):
    """How captions are searched for, in validation and in the exported file unless it is told otherwise.

    beam_size: captions followed at a time. max_length: words at most, the end counted. length_power: a
    caption's score is its log-probability over length^power, 0 the sum, 1 the mean. no_repeat: so many words
    in a row are said only once; 0 forbids nothing.
    """

    beam_size: int = Field(default=3, ge=1, le=100)
    max_length: int = Field(default=20, ge=1, le=200)
    length_power: float = Field(default=1.0, ge=0, le=4)
    no_repeat: int = Field(default=0, ge=0, le=200)


class CaptionRecipe(Recipe):
    """Everything that decides what a captioner becomes. task says that it is one, name what its run is
    called, and seed what is drawn at random."""

    task: Literal["caption"]
    name: RunName = "captioner"
    data: CaptionData
    picture: CaptionPicture = CaptionPicture()
    network: CaptionerSettings = CaptionerSettings()
    augment: WarpSettings = WarpSettings()
    loss: CaptionLoss = CaptionLoss()
    answer: CaptionAnswer = CaptionAnswer()

    @model_validator(mode="after")
    def _frames_for_clips(self) -> "CaptionRecipe":
        if (self.picture.frames > 0) != (self.network.clip is not None):
            told, missing = (
                (f"picture.frames = {self.picture.frames}", "[network.clip], which may be empty, reads them")
                if self.picture.frames
                else ("[network.clip]", "picture.frames = 8 makes clips of pictures")
            )
            raise ValueError(f"{told} needs more: {missing}; add it, or leave both out for pictures")
        return self
