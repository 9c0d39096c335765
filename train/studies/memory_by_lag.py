"""How far back a recurrent network remembers: the first of many symbols must be named after the last.

Each symbol is one of SYMBOLS, drawn anew; the first is marked, those after it are of the same kind and must
be passed over. A network is trained at one lag alone, from the start, or with lags that grow as it learns;
its gradient goes back through all symbols, or through some of them (truncated backpropagation through time,
Williams & Peng 1990).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.train.networks.layers.cells import CellName
from tombola.train.studies.descend import descend

SYMBOLS, UNITS, BATCH, JUDGED = 4, 32, 32, 500
# The share of right answers, over the last ten batches or so, at which a lag is learned.
LEARNED = 0.99
GROWTH = 1.25

# PyTorch's own layers, which run faster than steps in Python; the tests hold our cells to them.
LAYERS: dict[CellName, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Rememberer(nn.Module):
    """Symbols float [T, B, SYMBOLS + 1], the last number the mark -> logits [B, SYMBOLS] after the last.

    truncate: no gradient flows back over the borders between so many symbols; 0 is none.
    """

    def __init__(self, cell: CellName, truncate: int = 0) -> None:
        super().__init__()
        self.truncate = truncate
        self.layer = LAYERS[cell](SYMBOLS + 1, UNITS)
        if cell == "lstm":  # as our own begins
            with torch.no_grad():
                self.layer.get_parameter("bias_ih_l0")[UNITS : 2 * UNITS] = 1.0
        self.head = nn.Linear(UNITS, SYMBOLS)

    def forward(self, symbols: Tensor) -> Tensor:
        said, state = symbols, None
        for part in symbols.split(self.truncate or len(symbols)):
            said, state = self.layer(part, state)
            state = tuple(one.detach() for one in state) if isinstance(state, tuple) else state.detach()
        return self.head(said[-1])  # type: ignore[no-any-return]


def draw(lag: int, count: int) -> tuple[Tensor, Tensor]:
    """Symbols float [lag + 1, count, SYMBOLS + 1], and which was the first, int64 [count]."""
    symbols = F.one_hot(torch.randint(0, SYMBOLS, (lag + 1, count)), SYMBOLS + 1).float()
    first = symbols[0].argmax(1)
    symbols[0, :, SYMBOLS] = 1.0
    return symbols, first


def train_at(
    cell: CellName, lag: int, seed: int, steps: int, *, growing: bool = False, truncate: int = 0
) -> Rememberer:
    """A network that was trained at `lag` until it had learned it, `steps` steps at most; growing: at smaller
    lags first, from 1 on. truncate: see `Rememberer`."""
    torch.manual_seed(seed)
    network = Rememberer(cell, truncate)
    now, right = 1 if growing else lag, 0.0

    def loss_of() -> Tensor:
        nonlocal now, right
        if right > LEARNED:
            if now >= lag:
                raise StopIteration
            now, right = min(lag, max(now + 1, int(GROWTH * now))), 0.9
        symbols, first = draw(now, BATCH)
        logits = network(symbols)
        right += 0.1 * (float((logits.argmax(1) == first).float().mean()) - right)
        return F.cross_entropy(logits, first)

    descend(network, loss_of, steps)
    return network


def share_right(network: Rememberer, lag: int) -> float:
    """Of JUDGED rows with that lag, the share whose first symbol is named."""
    with torch.no_grad():
        symbols, first = draw(lag, JUDGED)
        return float((network(symbols).argmax(1) == first).float().mean())
