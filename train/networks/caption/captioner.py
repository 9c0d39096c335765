"""Captioners: a backbone's last map, cell by cell, or of a clip a state for each frame; and a decoder that
makes words of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import Discriminator, Field, Tag
from torch import Tensor, nn

from tombola.train.networks.axis import Axes, Axis, Channels
from tombola.train.networks.backbones.backbones import build_backbone
from tombola.train.networks.backbones.mobilenet import last_convolution
from tombola.train.networks.caption.clip import ClipReader, ClipReaderSettings
from tombola.train.networks.caption.recurrent import RecurrentDecoder, RecurrentSettings
from tombola.train.networks.caption.transformer import TransformerDecoder, TransformerSettings
from tombola.train.networks.layers.cells import State
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.networks.layers.initialise import initialise
from tombola.train.recipe.recipe import Section

BackboneName = Literal[
    "mobilenet_v2", "efficientnet_lite0", "efficientnet_lite2", "resnet18", "resnet34", "resnet50", "resnet20"
]


def _kind(decoder: Any) -> Any:
    """Of a table without a kind, the first that there was."""
    return decoder.get("kind", "recurrent") if isinstance(decoder, dict) else getattr(decoder, "kind", None)


DecoderSettings = Annotated[
    Annotated[RecurrentSettings, Tag("recurrent")] | Annotated[TransformerSettings, Tag("transformer")],
    Discriminator(_kind),
]


class CaptionerSettings(Section):
    """A captioner. backbone: the body. width: a factor on its channels. features: how many numbers each
    cell of its last map, or each frame of a clip, is brought to. clip: what reads the frames of clips.
    decoder: what makes words of them."""

    backbone: BackboneName = "efficientnet_lite0"
    width: float = Field(default=1.0, gt=0, le=4)
    features: int = Field(default=256, ge=1, le=4096)
    clip: ClipReaderSettings | None = None
    decoder: DecoderSettings = RecurrentSettings()


class Memory(Protocol):
    """What a decoder knows of P pictures: their cells float [P, cells, C], and what it makes of them."""

    @property
    def cells(self) -> Tensor: ...


class Decoder(Protocol):
    """Cells of P pictures and the words before -> logits of the next, for N captions of each."""

    words: Linear
    dropout: float

    def remember(self, cells: Tensor) -> Memory:
        """float [P, cells, C] -> what is the same for every word."""

    def start(self, memory: Any, captions: int, longest: int) -> State:
        """The state before the first of `longest` words; each tensor [P, captions, …], the first a float."""

    def step(self, tokens: Tensor, state: State, memory: Any) -> tuple[Tensor, State, Tensor]:
        """tokens int64 [P, N], the words before -> logits [P, N, words], state, weights [P, N, cells]."""

    def __call__(self, tokens: Tensor, memory: Any) -> tuple[Tensor, Tensor]:
        """tokens int64 [P, N, T] -> logits [P, N, T, words], weights [P, N, T, cells]."""


class Encoder(nn.Module):
    """The body that public weights are for: float [B, 3, h, w] -> its last map [B, C, rows, columns]."""

    def __init__(self, settings: CaptionerSettings, axes: Axes) -> None:
        super().__init__()
        name = settings.backbone
        self.backbone = build_backbone(name, width=settings.width, strides=None, axes=axes)
        (self.writes,) = self.backbone.writes
        self.last: nn.Module = nn.Identity()
        if name.startswith(("mobilenet", "efficientnet")):
            self.last, self.writes = last_convolution(
                self.writes, axes, width=settings.width, lite=name != "mobilenet_v2"
            )
        initialise(self, "he")

    def forward(self, images: Tensor) -> Tensor:
        (maps,) = self.backbone(images)
        return self.last(maps)  # type: ignore[no-any-return]

    def n_cells(self, size_hw: tuple[int, int]) -> int:
        """How many cells the map of a picture of `size_hw` pixels has."""
        (stride,) = self.backbone.strides
        return -(-size_hw[0] // stride) * -(-size_hw[1] // stride)


class Captioner(nn.Module):
    """Pictures or clips -> a memory of them -> words. `words` includes the signs that end and begin a
    caption. size_hw: of a picture or frame, in pixels; it matters to those that read clips."""

    def __init__(
        self, settings: CaptionerSettings, n_words: int, axes: Axes, size_hw: tuple[int, int]
    ) -> None:
        super().__init__()
        self.encoder = Encoder(settings, axes)
        reads: Channels = self.encoder.writes
        self.clip: ClipReader | None = None
        if settings.clip is not None:
            self.clip = ClipReader(settings.clip, self.encoder.writes, self.encoder.n_cells(size_hw), axes)
            reads = self.clip.writes
        features = axes.new("features", settings.features)
        self.features = Linear(reads, features)
        self.decoder: Decoder = _decoder(settings.decoder, features, n_words, axes)

    def remember(self, maps: Tensor) -> Memory:
        """The encoder's maps float [P, C, rows, columns] -> what the decoder looks at; cells row by row. Of
        clips [P, frames, C, rows, columns] -> a cell a frame."""
        cells = maps.flatten(2).transpose(1, 2) if self.clip is None else self.clip(maps)
        return self.decoder.remember(self.features(cells))

    def forward(self, maps: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher forcing: maps as above, tokens int64 [P, N, T] that begin with START -> logits
        [P, N, T, words], weights of the cells [P, N, T, cells]."""
        return self.decoder(tokens, self.remember(maps))


def _decoder(
    settings: RecurrentSettings | TransformerSettings, features: Axis, n_words: int, axes: Axes
) -> RecurrentDecoder | TransformerDecoder:
    match settings:
        case RecurrentSettings():
            return RecurrentDecoder(settings, features, n_words, axes)
        case TransformerSettings():
            return TransformerDecoder(settings, features, n_words, axes)


def build_captioner(
    settings: CaptionerSettings,
    n_words: int,
    widths: Mapping[str, int] | None = None,
    *,
    size_hw: tuple[int, int] = (224, 224),
) -> Captioner:
    """A captioner with fresh weights, for pictures of `size_hw` pixels. Raises RecipeError and TrainingError
    as `build_backbone` does."""
    axes = Axes(widths)
    network = Captioner(settings, n_words, axes, size_hw)
    axes.check_all_used()
    return network
