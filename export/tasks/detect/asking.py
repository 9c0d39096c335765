"""What a detector is asked before it is written."""

from collections.abc import Sequence

from tombola.export.parity.question import Options, Photo, PictureAsking, Question
from tombola.train.regions.sliding_window import sliding_windows

LOW_SCORE = 0.05
MOST_WINDOWS = 60  # as many proposals as a detector makes of its own


class DetectAsking(PictureAsking):
    """Pictures, at the default thresholds and at low ones; with proposals for those that are given them."""

    breaks_ties = True
    share = 1.0  # a box's corner hangs on its offsets' exponential, and already a pixel's rounding shows

    def __init__(self, *, takes_proposals: bool = False) -> None:
        self.takes_proposals = takes_proposals

    def questions(self, photos: Sequence[Photo], sizes_hw: Sequence[tuple[int, int]]) -> Sequence[Question]:
        return [self._with_proposals(one) for one in super().questions(photos, sizes_hw)]

    def probes(self, photos: Sequence[Photo]) -> Sequence[Question]:
        return [self._with_proposals(one) for one in super().probes(photos)]

    def _with_proposals(self, question: Question) -> Question:
        if not self.takes_proposals:
            return question
        windows = sliding_windows(*question.feeds["image"].shape[:2])
        some = windows[:: -(-len(windows) // MOST_WINDOWS)]
        return Question(question.name, {**question.feeds, "proposals": some})

    def options(self, defaults: Options) -> Sequence[Options]:
        """The default thresholds, and a low score threshold at which hundreds of boxes meet."""
        return (defaults, {**defaults, "score_threshold": LOW_SCORE, "max_detections": 1000})

    def probe_options(self) -> Sequence[Options]:
        """All scores above 0, so that there are boxes to compare even where the default threshold leaves
        none."""
        return [{"score_threshold": 0.0, "max_detections": most} for most in (30, 20, 12, 8, 5, 3, 2, 1)]
