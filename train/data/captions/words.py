"""A sentence cut into words as captions are: lower case, without punctuation."""

import unicodedata

from tombola.train.data.captions.caption_set import Caption
from tombola.train.data.text import composed

_JOINERS = "'’-"


def split_words(sentence: str) -> Caption:
    """The words of a sentence in any script: "A dog's red ball." -> a, dog's, red, ball.

    A word is letters, marks and numbers, with apostrophes and hyphens inside.
    """
    text = composed(sentence).lower()
    kept = "".join(
        sign if sign in _JOINERS or unicodedata.category(sign)[0] in "LMN" else " " for sign in text
    )
    return tuple(word for part in kept.split() if (word := part.strip(_JOINERS)))
