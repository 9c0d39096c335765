"""The module that is exported for generation: latents go in, pictures of bytes come out; of a network that
encodes a picture may go in, of which latents are made first.

It is not for training, nor to be called for answers: the runtime does that.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tombola.train.networks.inputs.classifier_input import ClassifierInput


class GeneratePictures(nn.Module):
    """Latents to pictures."""

    def __init__(self, network: Any) -> None:
        """network: a generator; its `decode` makes levels of 0..1, float32 [n, c, h, w]."""
        super().__init__()
        self.network = network

    def forward(self, latents: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """latents: float32 [n, d]. label: int64 [n]. Returns images uint8 [n, h, w, c] and the latents."""
        return self.pictures(latents, label), latents.clone()

    def pictures(self, latents: Tensor, label: Tensor | None) -> Tensor:
        return self.as_bytes(self.network.decode(latents, label))

    def as_bytes(self, levels: Tensor) -> Tensor:
        # Turned as bytes: where the last side is 1, onnxruntime multiplies number by number.
        return (levels * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


class EncodeOrGenerate(GeneratePictures):
    """Latents, or a picture, to pictures."""

    def __init__(self, network: Any, picture_input: ClassifierInput) -> None:
        super().__init__(network)
        self.picture_input = picture_input

    def forward(self, latents: Tensor, image: Tensor, encode: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """image: uint8 [H, W, 3]. encode: int64 []; where it is 1 the picture is encoded, and the latents
        that are fed count for their number alone. Returns images uint8 [n, h, w, c] and the latents that they
        were made of."""

        def encoded(latents: Tensor, image: Tensor) -> Tensor:
            return self.network.encode(self.seen(latents, image), None)  # type: ignore[no-any-return]

        codes = torch.cond(encode > 0, encoded, lambda latents, _: latents.clone(), (latents, image))
        return self.pictures(codes, None), codes.clone()

    def seen(self, latents: Tensor, image: Tensor) -> Tensor:
        """What the encoder sees, once for each row of latents."""
        return self.picture_input(image).expand(latents.shape[0], -1, -1, -1)  # type: ignore[no-any-return]


class CompleteOrGenerate(EncodeOrGenerate):
    """Latents, or what is known of a picture, to pictures."""

    def forward(  # type: ignore[override]
        self, latents: Tensor, image: Tensor, encode: Tensor, missing: Tensor
    ) -> tuple[Tensor, Tensor]:
        """missing: uint8 [H, W], 255 where the picture is to be filled in, else 0."""

        def encoded(latents: Tensor, image: Tensor, missing: Tensor) -> Tensor:
            seen = self.seen(latents, image)
            unknown = self.picture_input(missing[..., None].expand(-1, -1, 3))[:, :1] > 0.5
            return self.network.complete(seen, unknown.to(seen.dtype).expand_as(seen))  # type: ignore[no-any-return]

        codes = torch.cond(
            encode > 0, encoded, lambda latents, *_: latents.clone(), (latents, image, missing)
        )
        return self.pictures(codes, None), codes.clone()


class EncodeOrWalk(EncodeOrGenerate):
    """Latents to the pictures at the end of their chains, or a picture to what is kept of it."""

    def forward(self, latents: Tensor, image: Tensor, encode: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """As of `EncodeOrGenerate`. A chain would lead away from the picture, so it has no steps where
        `encode` is 1."""

        def encoded(latents: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
            codes = self.network.encode(self.seen(latents, image))
            return codes, self.network.told(codes)

        def given(latents: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            return latents.clone(), self.network.start(latents)

        codes, hidden = torch.cond(encode > 0, encoded, given, (latents, image))
        hidden = self.network.walk(codes, hidden, (1 - encode) * self.network.samples_after)
        return self.as_bytes(self.network.levels(hidden)), codes.clone()


class EncodeOrGenerateOfClass(EncodeOrGenerate):
    """Latents, or a picture, and labels to pictures."""

    def forward(self, latents: Tensor, label: Tensor, image: Tensor, encode: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """label: int64 [n], of each row of latents; a picture is encoded for each."""

        def encoded(latents: Tensor, label: Tensor, image: Tensor) -> Tensor:
            return self.network.encode(self.seen(latents, image), label)  # type: ignore[no-any-return]

        codes = torch.cond(encode > 0, encoded, lambda latents, *_: latents.clone(), (latents, label, image))
        return self.pictures(codes, label), codes.clone()
