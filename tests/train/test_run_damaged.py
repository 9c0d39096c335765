"""A run whose lineage.json or metrics.csv was damaged is refused by name."""

from pathlib import Path

import pytest

from tombola.errors import TrainingError
from tombola.train.run.folder import RunFolder


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"\0"]
)
def test_a_damaged_lineage_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "lineage.json").write_bytes(data)
    with pytest.raises(TrainingError, match=r"lineage\.json is (damaged|no JSON object)"):
        RunFolder(tmp_path).read_lineage()


@pytest.mark.parametrize(
    "data",
    [b"epoch,loss\n1,x\n", b"epoch\n1,2,3\n", b"epoch\n\xff\n", b"epoch\n\0\n", b"a\n" + b"1" * 200_000],
)
def test_damaged_metrics_are_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(data)
    with pytest.raises(TrainingError, match=r"metrics\.csv is damaged"):
        RunFolder(tmp_path).read_metrics()


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    assert (RunFolder(tmp_path).read_lineage(), RunFolder(tmp_path).read_metrics()) == ({}, [])
