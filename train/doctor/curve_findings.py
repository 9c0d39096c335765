"""What the curves of a finished training say, in sentences."""

from collections.abc import Mapping, Sequence

from tombola.train.metrics.score import Score

# Share of an ignorant network's loss above which nothing is said to be learnt.
UNLEARNT = 0.95
# A loss that falls by less than this share of the way in a quarter of the epochs is flat there.
FLAT = 0.03
# Share of the best score that is lost again at the end.
LOST = 0.02
# Share of a score by which it must grow in the last epoch to be worth another.
RISING = 0.01
# A score below this multiple of what a guess has, and this share of the way from there to 1, is hardly more.
TWICE, HARDLY = 2.0, 0.1
# Factor by which a loss on the validation pictures must have risen above its least.
GAP = 1.25


def judge_curves(
    rows: Sequence[Mapping[str, float]],
    score: Score,
    expected_losses: Mapping[str, float],
    guessed_score: float | None = None,
) -> list[str]:
    """Sentences on rows as in metrics.csv, in order. expected_losses: part of the loss -> what a network that
    knows nothing has. guessed_score: a share 0..1, what one answer to all pictures scores."""
    return [
        *_judge_learning(rows, expected_losses),
        *_judge_guess(rows, score, guessed_score),
        *_judge_start(rows),
        *_judge_end(rows, score),
        *_judge_gaps(rows),
    ]


def _judge_learning(rows: Sequence[Mapping[str, float]], expected: Mapping[str, float]) -> list[str]:
    known = {name: f"loss_{name}" for name in expected if rows and f"loss_{name}" in rows[-1]}
    return [
        f"the {_spoken(name)} loss is {rows[-1][key]:.3g} at the end, and a network that knows nothing has "
        f"{expected[name]:.3g}: as good as nothing was learnt; train longer, raise training.learning_rate, "
        "or see what `tombola train RECIPE --preflight` finds"
        for name, key in known.items()
        if rows[-1][key] > UNLEARNT * expected[name]
    ]


def _judge_guess(rows: Sequence[Mapping[str, float]], score: Score, guessed: float | None) -> list[str]:
    best = score.best(rows)
    if best is None or guessed is None:
        return []
    reached = best[score.key]
    if reached >= min(TWICE * guessed, guessed + HARDLY * (1 - guessed)):
        return []
    return [
        f"the best {_spoken(score.key)} is {score.tell(reached)}, and the commonest answer to every "
        f"picture has {score.tell(guessed)}: next to nothing is known of pictures that were not trained on; "
        "see what `tombola train RECIPE --preflight` finds, look at pictures with their labels, add pictures"
    ]


def _judge_start(rows: Sequence[Mapping[str, float]]) -> list[str]:
    losses = [row["loss"] for row in rows]
    quarter = len(losses) // 4
    if quarter < 2:
        return []
    way = losses[0] - min(losses)
    flat = losses[0] - min(losses[: quarter + 1]) < FLAT * way
    if not flat or way < 0.2 * abs(losses[0]):
        return []
    return [
        f"the loss stayed flat for the first {quarter + 1} epochs ({losses[0]:.3g} to {losses[quarter]:.3g}) "
        "and fell only then: the first weights are the prime suspect; choose another initialisation"
    ]


def _judge_end(rows: Sequence[Mapping[str, float]], score: Score) -> list[str]:
    key = score.key
    scored = [row for row in rows if key in row]
    best, earlier = score.best(scored), score.best(scored[:-1])
    if best is None or earlier is None or len(scored) < 3:
        return []
    name, sign = _spoken(key), 1 if score.higher_is_better else -1
    before_last, last = scored[-2], scored[-1]
    leads = score.rank(last[key]) < score.rank(earlier[key])
    if leads and sign * (last[key] - before_last[key]) > RISING * abs(last[key]):
        return [
            f"{name} was still {'rising' if sign > 0 else 'falling'} at the end, from "
            f"{before_last[key]:.4g} to {last[key]:.4g}; raise training.epochs"
        ]
    if sign * (best[key] - last[key]) <= LOST * abs(best[key]):
        return []
    lost = (
        f"{name} was best after epoch {best['epoch']:.0f} ({best[key]:.4g}) and "
        f"{'fell' if sign > 0 else 'rose'} to {last[key]:.4g}"
    )
    if last["loss"] > best["loss"]:
        return [f"{lost}, and the training loss rose too; lower training.learning_rate"]
    return [
        f"{lost} while the training loss fell on: the network may be learning its pictures by heart; add "
        "pictures, augmentation, dropout or training.weight_decay, or set training.early_stopping_epochs"
    ]


def _judge_gaps(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Of losses that are measured on both sets."""
    names = [key.removeprefix("loss_") for key in rows[-1] if key.startswith("loss_")] if rows else []
    return [sentence for name in names for sentence in _judge_gap(rows, f"loss_{name}", f"valid_{name}")]


def _judge_gap(rows: Sequence[Mapping[str, float]], ours: str, theirs: str) -> list[str]:
    scored = [row for row in rows if ours in row and theirs in row]
    if len(scored) < 3:
        return []
    best, last = min(scored, key=lambda row: row[theirs]), scored[-1]
    if last[theirs] < GAP * best[theirs] or last[ours] >= best[ours]:
        return []
    return [
        f"{_spoken(theirs)} on the validation pictures was least after epoch {best['epoch']:.0f} "
        f"({best[theirs]:.3g}) and rose to {last[theirs]:.3g} while that on the training pictures fell on: "
        "the network grows surer than it is right; add augmentation, dropout, training.weight_decay or "
        "loss.label_smoothing"
    ]


def _spoken(key: str) -> str:
    return key.removeprefix("valid_").replace("_", " ")
