"""Words to words through one vector, or with attention: digits said in reverse, by the length of the string.

An encoder of two directions and the decoder of the captioners, which begins with the mean of what the encoder
says; without attention it sees no more than that mean at any word (Bahdanau et al. 2015, figure 2).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.axis import Axes
from tombola.train.networks.caption.attention import AttentionName
from tombola.train.networks.caption.recurrent import RecurrentDecoder, RecurrentSettings
from tombola.train.networks.caption.search import BANNED, END, Options, search
from tombola.train.networks.caption.words import WordsEncoder
from tombola.train.studies.descend import descend

START = BANNED[0]
FIRST_DIGIT, DIGITS = 3, 10
N_WORDS = FIRST_DIGIT + DIGITS
UNITS, BATCH, JUDGED = 48, 64, 200


class Reverser(nn.Module):
    """Digits int64 [P, T] and the words before [P, T + 1] -> logits of the next [P, T + 1, N_WORDS]."""

    def __init__(self, attention: AttentionName) -> None:
        super().__init__()
        axes = Axes()
        features = axes.new("features", UNITS)
        settings = RecurrentSettings(
            cell="gru", units=UNITS, embedding=UNITS, attention=attention, attention_units=UNITS, dropout=0.0
        )
        self.encoder = WordsEncoder("gru", N_WORDS, UNITS, features, axes)
        self.decoder = RecurrentDecoder(settings, features, N_WORDS, axes)

    def forward(self, digits: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Also the weights of the digits, [P, T + 1, T]."""
        logits, weights = self.decoder(before[:, None], self.decoder.remember(self.encoder(digits)))
        return logits[:, 0], weights[:, 0]

    def say(self, digits: Tensor) -> Tensor:
        """What it says of digits [P, T], always the most probable word: int64 [P, T], END behind its end."""
        memory = self.decoder.remember(self.encoder(digits))
        length = digits.shape[1]
        options = Options.of(beam_size=1, max_length=length + 1)
        state = self.decoder.start(memory, 1, length + 1)
        return search(self.decoder.step, memory, state, options, length, N_WORDS).tokens[:, 0, :length]


def draw(length: int, count: int) -> Tensor:
    """Strings of digits, int64 [count, length]."""
    return torch.randint(FIRST_DIGIT, N_WORDS, (count, length))


def train(attention: AttentionName, longest: int, seed: int, steps: int) -> Reverser:
    """A network that was trained on strings of 2 to `longest` digits."""
    torch.manual_seed(seed)
    network = Reverser(attention)

    def loss_of() -> Tensor:
        digits = draw(int(torch.randint(2, longest + 1, ())), BATCH)
        said = F.pad(digits.flip(1), (0, 1), value=END)
        before = F.pad(said[:, :-1], (1, 0), value=START)
        logits, _ = network(digits, before)
        return F.cross_entropy(logits.flatten(0, 1), said.flatten())

    descend(network, loss_of, steps)
    return network.eval()


def share_right(network: Reverser, length: int) -> float:
    """Of JUDGED strings of that length, the share of digits that stand in the right place."""
    with torch.no_grad():
        digits = draw(length, JUDGED)
        return float((network.say(digits) == digits.flip(1)).float().mean())
