"""What a study is asked, and what its numbers answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """What is claimed, whether the numbers say so (None: they say neither), and the numbers in a sentence."""

    claim: str
    holds: bool | None
    sentence: str

    @property
    def verdict(self) -> str:
        return {True: "holds", False: "does not hold", None: "undecided"}[self.holds]

    def told(self) -> str:
        return f"{self.claim}: {self.verdict}. {self.sentence}"
