"""What a detector is asked before it is written."""

from collections.abc import Sequence

from tombola.export.question import Options, PictureAsking

LOW_SCORE = 0.05


class DetectAsking(PictureAsking):
    """Pictures, at the default thresholds and at low ones."""

    breaks_ties = True
    share = 1.0  # a box's corner hangs on its offsets' exponential, and already a pixel's rounding shows

    def options(self, defaults: Options) -> Sequence[Options]:
        """The default thresholds, and a low score threshold at which hundreds of boxes meet."""
        return (defaults, {**defaults, "score_threshold": LOW_SCORE, "max_detections": 1000})

    def probe_options(self) -> Sequence[Options]:
        """All scores above 0, so that there are boxes to compare even where the default threshold leaves
        none."""
        return [{"score_threshold": 0.0, "max_detections": most} for most in (30, 20, 12, 8, 5, 3, 2, 1)]
