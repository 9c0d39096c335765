"""What a captioner is asked before it is written."""

from collections.abc import Sequence

from tombola.export.parity.clips import ClipAsking
from tombola.export.parity.question import Options, PictureAsking


class CaptionAsking(PictureAsking):
    """Pictures, at the default options, without a beam, and with one of five that may not repeat itself."""

    breaks_ties = True

    def options(self, defaults: Options) -> Sequence[Options]:
        return (
            defaults,
            {**defaults, "beam_size": 1},
            {**defaults, "beam_size": 5, "length_power": 1.0, "no_repeat": 1},
        )

    def probe_options(self) -> Sequence[Options]:
        return ({}, {"beam_size": 1}, {"beam_size": 1, "max_length": 3})


class ClipCaptionAsking(CaptionAsking, ClipAsking):
    """Clips, at the same options."""
