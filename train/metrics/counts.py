"""How often a class was found, claimed and missed, and the shares that follow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassCounts:
    """One class: how many there are (truths), how many answers for it are right, and how many are wrong."""

    name: str
    truths: int
    right: int
    wrong: int

    @property
    def missed(self) -> int:
        """Truths that no answer found."""
        return self.truths - self.right

    @property
    def precision(self) -> float:
        """Share of the answers that are right, 0..1; NaN without answers."""
        return _share(self.right, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Share of the truths that are found, 0..1; NaN without truths."""
        return _share(self.right, self.truths)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0..1; NaN without answers and truths."""
        return _share(2 * self.right, 2 * self.right + self.wrong + self.missed)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
