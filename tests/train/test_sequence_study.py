"""What recurrent networks remember, and what attention is for: the parts of the study, and its report."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from tombola.cli.training.sequences import sequences
from tombola.errors import OutputError
from tombola.train.networks.axis import Axes, Axis
from tombola.train.networks.caption.words import WordsEncoder
from tombola.train.studies import bottleneck, memory_by_lag
from tombola.train.studies.sequences import Row, held, write_report


def test_an_encoder_of_two_directions_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours = WordsEncoder("gru", 9, 5, Axis("features", 4), Axes())
    theirs = nn.GRU(5, 5, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for cell, suffix in ((ours.forth, ""), (ours.back, "_reverse")):
            for layer, name in ((cell.input, "ih"), (cell.hidden, "hh")):
                theirs.get_parameter(f"weight_{name}_l0{suffix}").copy_(layer.weight)
                theirs.get_parameter(f"bias_{name}_l0{suffix}").copy_(layer.bias)
    tokens = torch.randint(0, 9, (3, 6))
    torch.testing.assert_close(ours.states(tokens), theirs(ours.words.weight[tokens])[0])
    assert ours(tokens).shape == (3, 6, 4)


def test_the_first_symbol_is_marked_and_asked_for() -> None:
    torch.manual_seed(0)
    symbols, first = memory_by_lag.draw(5, 200)
    assert symbols.shape == (6, 200, memory_by_lag.SYMBOLS + 1)
    marks = symbols[..., -1]
    assert marks[0].all()
    assert not marks[1:].any()
    assert (symbols[..., :-1].sum(-1) == 1).all()
    assert (symbols[0, torch.arange(200), first] == 1).all()
    assert len(first.unique()) == memory_by_lag.SYMBOLS


def test_a_short_lag_is_learned_and_by_chance_is_known() -> None:
    learned = memory_by_lag.train_at("gru", 2, seed=0, steps=300, growing=True)
    assert memory_by_lag.share_right(learned, 2) > 0.95
    fresh = memory_by_lag.train_at("gru", 2, seed=0, steps=0)
    assert memory_by_lag.share_right(fresh, 30) == pytest.approx(0.25, abs=0.1)


def test_what_is_said_in_reverse_is_counted_place_by_place(monkeypatch: pytest.MonkeyPatch) -> None:
    reverser = bottleneck.train("additive", longest=3, seed=0, steps=0)
    digits = bottleneck.draw(4, 10)
    assert reverser.say(digits).shape == (10, 4)
    monkeypatch.setattr(reverser, "say", lambda digits: digits.flip(1))
    assert bottleneck.share_right(reverser, 5) == 1.0
    monkeypatch.setattr(reverser, "say", lambda digits: digits)
    assert bottleneck.share_right(reverser, 5) == pytest.approx(0.2 + 0.8 / 10, abs=0.06)


def test_held_is_what_all_before_hold_too() -> None:
    assert held([(3, 1.0, 0.0), (7, 0.95, 0.0), (15, 0.5, 0.0), (30, 0.99, 0.0)]) == 7
    assert held([(3, 0.2, 0.0)]) == 0


def test_the_report_has_a_row_a_network(tmp_path: Path) -> None:
    rows = [
        *(
            Row("memory", "rnn", seed, x, right)
            for seed in (0, 1)
            for x, right in ((3, 1.0), (7, 0.5 * seed))
        ),
        Row("reversal", "attention", 0, 2, 1.0),
    ]
    text = write_report(rows, tmp_path)
    assert "| rnn | 100 % | 25 % | 3 |" in text
    assert "| attention | 100 % | 2 |" in text
    assert text == (tmp_path / "report.md").read_text()
    with (tmp_path / "sequences.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table[3] == {"experiment": "memory", "network": "rnn", "seed": "1", "x": "7", "right": "0.5"}
    for name in ("memory.png", "reversal.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the folder cannot be made"):
        sequences(tmp_path / "file" / "out")
