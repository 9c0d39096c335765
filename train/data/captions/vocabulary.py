"""Words as numbers: a caption's tokens, and back."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tombola.train.data.captions.caption_set import Caption

# The first tokens of every vocabulary. What ends a caption is 0, so that zeros behind it are ends too.
END, START, UNKNOWN = 0, 1, 2
SIGNS = ("<end>", "<start>", "<unk>")


def count_words(captions: Iterable[Caption], least_count: int) -> tuple[str, ...]:
    """The vocabulary of these captions: the three signs, then each word that comes at least `least_count`
    times, the most frequent first, equal ones by the alphabet."""
    counts = Counter(word for caption in captions for word in caption)
    kept = [word for word, count in counts.items() if count >= least_count and word not in SIGNS]
    return (*SIGNS, *sorted(kept, key=lambda word: (-counts[word], word)))


class Vocabulary:
    """Token <-> word; token is the place in `words`."""

    def __init__(self, words: Sequence[str]) -> None:
        """words: as `count_words` gives them."""
        self.words = tuple(words)
        self._tokens = {word: token for token, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, caption: Caption, longest: int) -> list[int]:
        """The tokens of a caption's first words, an unknown one UNKNOWN, and END: `longest` at most, so that
        a caption that is cut has no END."""
        tokens = [self._tokens.get(word, UNKNOWN) for word in caption]
        return [*tokens, END][:longest]

    def decode(self, tokens: Iterable[int]) -> Caption:
        """The words up to the first END."""
        words = []
        for token in tokens:
            if token == END:
                break
            words.append(self.words[token])
        return tuple(words)
