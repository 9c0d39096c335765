"""The study of CD against persistent chains, on pictures of a few pixels."""

from pathlib import Path

import pytest
import torch

from tombola.train.networks.generate.rbm import Rbm, RbmSettings
from tombola.train.networks.generate.shape import PictureShape
from tombola.train.studies.divergences import CONTENDERS, exact_log_partition, study, write_findings
from tombola.train.tasks.generate.annealing import log_partition


def test_the_exact_sum_is_what_annealing_finds() -> None:
    torch.manual_seed(3)
    network = Rbm(RbmSettings(kind="rbm", hidden=5), PictureShape(1, 2, 3))
    torch.nn.init.normal_(network.up.weight)
    found = log_partition(network, runs=300, temperatures=100, seed=0)
    assert found.low < exact_log_partition(network) < found.high


@pytest.mark.slow
def test_every_contender_learns_the_same_pictures(tmp_path: Path) -> None:
    bars = torch.eye(4).repeat_interleave(4, 1).view(4, 1, 4, 4)
    rows = list(study(bars.repeat(30, 1, 1, 1), bars, rate=0.1, steps=240, seeds=1))
    table = write_findings(rows, tmp_path)
    assert len(table) == 2 + len(CONTENDERS)
    assert (tmp_path / "divergences.png").read_bytes()[:4] == b"\x89PNG"
    last = {row.contender: row.log_p for row in rows if row.step == 240}
    first = {row.contender: row.log_p for row in rows if row.step == 20}
    assert all(last[name] > first[name] for name in CONTENDERS)
    assert (tmp_path / "divergences.csv").read_text().count("\n") == 1 + len(rows)
    assert last["CD-1"] != pytest.approx(last["CD-25"], abs=1e-6)
