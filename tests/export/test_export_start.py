"""A training that starts from an exported file: the network answers as the file does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tombola.errors import TrainingError
from tombola.export.parity.question import drawn_picture
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.start.model_file import load_model_file, read_model_file


def test_a_network_with_the_weights_of_a_file_answers_as_the_file(
    exported: Any, make_network: Callable[..., FasterRCNN], make_input: Callable[[], PictureInput]
) -> None:
    file = read_model_file(exported.report.path)
    assert (file.task, file.classes) == ("detect", ("apple", "brick", "candle"))
    assert file.seen["mean"] == pytest.approx((127.0, 120.0, 110.0))
    assert file.seen["scale"] == pytest.approx((1 / 128, 1 / 64, 1 / 100))
    network = make_network(seed=5)
    load_model_file(network, file, norms_learn=False)
    picture = drawn_picture((70, 96))
    with torch.inference_mode():
        image, size_hw, factors = make_input()(torch.from_numpy(picture))
        asked = torch.tensor(0.2), torch.tensor(0.5), torch.tensor(20)
        boxes, scores, labels = network.eval().detect(image, size_hw, *asked)
    answer = exported(picture)
    assert len(answer["labels"]) > 3
    assert labels.tolist() == answer["labels"].tolist()
    assert scores.numpy() == pytest.approx(answer["scores"], abs=1e-4)
    clipped = np.clip((boxes * factors).numpy(), 0, (96, 70, 96, 70))
    assert clipped == pytest.approx(answer["boxes"], abs=0.01)


def test_last_layers_may_be_left_as_they_are(exported: Any, make_network: Callable[..., FasterRCNN]) -> None:
    network = make_network(seed=5)
    before = network.roi_head.classes.weight.clone()
    load_model_file(
        network, read_model_file(exported.report.path), fresh=("roi_head.classes.",), norms_learn=False
    )
    assert torch.equal(network.roi_head.classes.weight, before)


def test_a_network_of_another_shape_is_told(exported: Any, make_network: Callable[..., FasterRCNN]) -> None:
    file = read_model_file(exported.report.path)
    with pytest.raises(TrainingError, match="make network and picture those of the weights"):
        load_model_file(make_network(pyramid=False), file, norms_learn=False)
    with pytest.raises(TrainingError, match="those of this network learn"):
        load_model_file(make_network(), file, norms_learn=True)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x09"])
def test_a_file_that_is_no_model_of_ours_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(content)
    with pytest.raises(TrainingError, match="is no model that `tombola export` wrote"):
        read_model_file(tmp_path / "other.onnx")
