"""Packed models: small, the same when unpacked, and no larger than they may be."""

import gzip
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tombola.errors import ModelError
from tombola.runtime.load import inspect_model, load
from tombola.runtime.modelfile.packing import pack
from tombola.runtime.verify import verify

CLASSIFIER = Path(__file__).parents[2] / "runtime" / "models" / "fashion-mnist-classifier.onnx"


def ticket(sparsity: float) -> bytes:
    """The classifier that ships, the smallest weights of each layer set to zero."""
    model = onnx.load(CLASSIFIER)
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".weight"):
            weights = numpy_helper.to_array(tensor).copy()
            weights[np.abs(weights) < np.quantile(np.abs(weights).astype(float), sparsity)] = 0
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    return bytes(model.SerializeToString())


def test_a_ticket_of_a_tenth_of_the_weights_takes_a_quarter_at_most_and_runs(tmp_path: Path) -> None:
    content = ticket(0.9)
    packed = tmp_path / "ticket.onnx.gz"
    packed.write_bytes(pack(content))
    assert len(content) == CLASSIFIER.stat().st_size
    assert packed.stat().st_size <= 0.25 * CLASSIFIER.stat().st_size
    feeds = {"image": np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)}
    plain, small = (load(source, "cpu").outputs(feeds)["probabilities"] for source in (content, packed))
    np.testing.assert_array_equal(small, plain)
    assert inspect_model(packed)[1].zero_count > 0.85 * inspect_model(packed)[1].weight_count


def test_the_shipped_file_packed_verifies(tmp_path: Path) -> None:
    packed = tmp_path / "m.onnx.gz"
    packed.write_bytes(pack(CLASSIFIER.read_bytes()))
    assert verify(packed, "cpu").ok
    assert pack(CLASSIFIER.read_bytes()) == packed.read_bytes()
    assert gzip.decompress(packed.read_bytes()) == CLASSIFIER.read_bytes()


def test_a_bomb_is_refused_before_it_bursts() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000
    with pytest.raises(ModelError, match="unpacked it is larger than the limit of 1 MB"):
        load(bomb, max_bytes=1_000_000)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[:-9], "ends before its own contents do"),
        (lambda data: data[:5], "ends before its own contents do"),
        (lambda data: data + b"more", "something follows its end"),
        (lambda data: data + data, "something follows its end"),
        (lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], "incorrect data check"),
        (lambda data: data[:2] + b"\xff" + data[3:], "unknown compression method"),
        (lambda _: pack(pack(b"deep")), "the file is damaged"),
        (lambda _: pack(b""), "the file is empty"),
    ],
)
def test_damaged_packs_are_refused(spoil: "object", message: str) -> None:
    assert callable(spoil)
    with pytest.raises(ModelError, match=message):
        load(spoil(pack(CLASSIFIER.read_bytes())))
