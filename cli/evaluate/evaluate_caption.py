"""`tombola evaluate` of a captioner: BLEU, CIDEr-D and ROUGE-L against what people said."""

from typing import TYPE_CHECKING

import typer

from tombola.cli.evaluate.evaluation import Evaluated
from tombola.cli.evaluate.sureness import Sureness, known, sure_json, sureness
from tombola.cli.table import counted, terminal_columns, wrap

if TYPE_CHECKING:
    from tombola.train.metrics.captions import CaptionScores


def report_captioner(asked: Evaluated) -> str:
    """The scores of the run folder or model file that is asked for, as text or JSON."""
    if (asked.labels is None) != (asked.pictures is None):
        raise typer.BadParameter("--annotations and --pictures belong together; give both.")
    places = "--annotations and --pictures"
    scores: CaptionScores = asked.scores(places)
    sure = sureness(asked, scores, asked.other_scores(places))
    if asked.json:
        return captioner_json(scores, sure)
    return "\n".join(captioner_lines(scores, sure, terminal_columns()))


def captioner_lines(scores: "CaptionScores", sure: Sureness, columns: int | None) -> list[str]:
    """A line a score. BLEU and ROUGE-L are told in percent, CIDEr-D as it is."""
    from tombola.train.metrics.score import percent

    bleu = "  ".join(percent(value) for value in scores.bleu)
    interval = sure.interval
    between = f"  (95 %: {interval.low:.3f} … {interval.high:.3f})" if interval else ""
    lines = [
        f"{counted(scores.pictures, 'picture')}; {scores.distinct} different captions, "
        f"{scores.words} different words",
        f"BLEU-1 … 4  {bleu}",
        f"CIDEr-D     {scores.main:.3f}{between}",
        f"ROUGE-L     {percent(float(scores.rouge_l.mean()))}",
        f"as told     {percent(float(scores.as_told.mean()))}, word for word",
    ]
    if sure.difference is not None:
        low, high = sure.difference.low, sure.difference.high
        verdict = "; 0 lies in it, so either may be better" if low <= 0 <= high else ""
        lines += wrap(
            f"against {sure.against}: CIDEr-D {scores.main:.3f} and {sure.other:.3f}, difference "
            f"{scores.main - sure.other:+.3f} (95 %: {low:+.3f} … {high:+.3f}){verdict}",
            columns=columns,
        )
    return lines


def captioner_json(scores: "CaptionScores", sure: Sureness) -> str:
    """The same as one line of JSON; `interval` and `against` are of CIDEr-D."""
    from json import dumps

    return dumps(
        {
            "pictures": scores.pictures,
            "bleu": [known(value) for value in scores.bleu],
            "cider_d": known(scores.main),
            "rouge_l": known(float(scores.rouge_l.mean())),
            "as_told": known(float(scores.as_told.mean())),
            "distinct_captions": scores.distinct,
            "words": scores.words,
            **sure_json(sure, scores.main),
        }
    )
