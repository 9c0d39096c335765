"""Self-critical training: what is drawn, what it is worth, and which way the weights go."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.toy_captions import write_toy
from tombola.errors import RecipeError
from tombola.train.data.captions.vocabulary import END, SIGNS, START, Vocabulary
from tombola.train.metrics.cider import CiderD
from tombola.train.networks.caption.search import BANNED
from tombola.train.tasks.caption.self_critical import Critic, draw
from tombola.train.tasks.caption.task import CaptionTask
from tombola.train.tasks.moment import Moment
from tombola.train.tasks.table import open_task

WORDS = (*SIGNS, "a", "cat", "dog", "runs")
A, CAT, DOG, RUNS = range(3, 7)


class Table(nn.Module):
    """The next word by the last alone: logits [words, words] that are learned."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.decoder = self

    def remember(self, maps: Tensor) -> Tensor:
        return maps

    def start(self, _maps: Tensor, _captions: int, _longest: int) -> tuple[Tensor, ...]:
        return ()

    def step(self, tokens: Tensor, state: tuple[Tensor, ...], maps: Tensor) -> tuple[Tensor, ...]:
        return self.logits[tokens], state, maps  # type: ignore[return-value]

    def forward(self, maps: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits[tokens], maps


def test_words_are_drawn_as_often_as_they_are_probable() -> None:
    torch.manual_seed(0)
    logits = torch.full((7, 7), -30.0)
    logits[:, list(BANNED)] = 40.0  # most probable, and never said
    logits[START, [A, CAT]] = torch.tensor([0.75, 0.25]).log()
    logits[A, END] = logits[CAT, DOG] = logits[DOG, END] = 0.0
    tokens = draw(Table(logits), torch.zeros(50, 1, 1, 1), 40, 6)
    assert tokens.shape == (50, 40, 3)  # no longer than the longest drawn
    assert (tokens[..., 0] == A).float().mean().item() == pytest.approx(0.75, abs=0.04)
    short = tokens[tokens[..., 0] == A]
    assert (short == torch.tensor([A, END, END])).all()
    assert (tokens[tokens[..., 0] == CAT] == torch.tensor([CAT, DOG, END])).all()


def test_a_caption_that_stops_early_is_worth_less_than_one_that_ends() -> None:
    references: list[list[tuple[str, ...]]] = [[("a", "cat", "runs")] * 2, [("a", "dog")] * 2]
    critic = Critic(references, Vocabulary(WORDS))
    scores = critic.scores(
        torch.tensor(
            [[[A, CAT, RUNS, END], [A, CAT, RUNS, RUNS]], [[A, DOG, END, END], [CAT, END, END, END]]]
        ),
        [0, 1],
    )
    with_ends = [[(*one, SIGNS[END]) for one in own] for own in references]
    expected = CiderD(with_ends).scores([("a", "cat", "runs", SIGNS[END]), ("a", "dog", SIGNS[END])])
    assert scores[:, 0].tolist() == pytest.approx(expected.tolist())
    assert scores[0, 1] < scores[0, 0]
    assert scores[1, 1] < scores[1, 0]


def test_the_gradient_is_that_of_the_expected_score() -> None:
    """Of one word and its end, the expected score can be written out: Σ p(word) · score(word)."""
    torch.manual_seed(1)
    critic = Critic([[("cat",), ("cat",)], [("dog",)]], Vocabulary(WORDS))
    logits = torch.full((7, 7), -30.0)
    logits[START, [A, CAT, DOG]] = torch.tensor([0.3, -0.2, 0.5])
    logits[[A, CAT, DOG], END] = 30.0
    table = Table(logits.clone())
    worth = torch.tensor([critic.scores(torch.tensor([[[word, END]]]), [0])[0, 0] for word in (A, CAT, DOG)])
    asked = logits[START, [A, CAT, DOG]].clone().requires_grad_()
    (asked.softmax(0) @ worth).backward()
    critic.loss(table, torch.zeros(400, 1, 1, 1), [0] * 400, 20, 5).backward()
    assert table.logits.grad is not None
    assert asked.grad is not None
    found = -2 * table.logits.grad[START, [A, CAT, DOG]]  # the mean is over the word and its end
    assert found.tolist() == pytest.approx(asked.grad.tolist(), abs=0.02 * float(worth.max()))
    assert float(asked.grad.abs().max()) > 0.1 * float(worth.max())


def test_a_captioner_learns_what_scores(tmp_path: Path) -> None:
    path = write_toy(tmp_path / "toy")
    task = open_task(path, ["loss.self_critical=0.5", "data.valid=[]"])
    assert isinstance(task, CaptionTask)
    examples, requests = task.examples(), task.plan_epoch(0)[0][:4]
    batch, network = task.collate([examples[one] for one in requests]), task.build_network()
    parts = task.losses(network, batch, Moment(0, 0, 10))
    assert set(parts) == {"cross_entropy", "self_critical", "attention"}
    whole = open_task(path, ["loss.self_critical=1", "data.valid=[]"])
    assert set(whole.losses(network, batch, Moment(0, 0, 10))) == {"self_critical"}
    with pytest.raises(RecipeError, match=r"loss\.self_critical would draw other words in each process"):
        task.check_shares()
