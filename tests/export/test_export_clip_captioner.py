"""A captioner of clips as a file: the same words as the network's, whatever a clip comes as."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tombola.export.export import ExportReport, export_network
from tombola.export.parity.clips import drawn_clip
from tombola.export.scoring import score_file
from tombola.export.tasks.caption.exportable import exportable_captioner
from tombola.runtime.load import load
from tombola.runtime.verify import verify
from tombola.train.evaluate import Named
from tombola.train.metrics.captions import CaptionScores
from tombola.train.networks.caption.captioner import Captioner, CaptionerSettings, build_captioner
from tombola.train.networks.caption.search import Options
from tombola.train.networks.inputs.classifier_input import ClassifierInput
from tombola.train.studies.told_shapes import write_told_set
from tombola.train.tasks.caption.recipe import CaptionAnswer
from tombola.train.tasks.caption.task import caption_maps

pytestmark = pytest.mark.slow

WORDS = ("<end>", "<start>", "<unk>", *"abcdefgh")
INPUT = ClassifierInput((16, 24), fit="stretch", channels=3, mean=(127.0,) * 3, scale=(1 / 64,) * 3)
FRAMES = 4


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Captioner, ExportReport]:
    torch.manual_seed(2)
    settings = CaptionerSettings.model_validate(
        {
            "backbone": "resnet20",
            "width": 0.25,
            "features": 12,
            "clip": {"channels": 4, "units": 10, "cell": "lstm"},
            "decoder": {"units": 12, "embedding": 8, "attention_units": 6},
        }
    )
    network = build_captioner(settings, len(WORDS), size_hw=INPUT.size_hw).eval()
    with torch.no_grad():
        network.decoder.words.weight.mul_(8.0)
        network.decoder.words.bias[0] = 1.0
    asked = CaptionAnswer(beam_size=3, max_length=8)
    path = tmp_path_factory.mktemp("clips") / "clips.onnx"
    return network, export_network(
        exportable_captioner(network, INPUT, WORDS, asked, FRAMES), path, half=False
    )


def told(network: Captioner, frames: NDArray[np.uint8], beam: int) -> tuple[list[int], float, Any]:
    """Tokens, score and weights of the best caption, with none of the export's own code."""
    places = [int((2 * one + 1) * len(frames) / (2 * FRAMES)) for one in range(FRAMES)]
    with torch.no_grad():
        seen = torch.cat([INPUT(torch.from_numpy(frames[place])) for place in places])
        found = caption_maps(network, network.encoder(seen)[None], Options.of(beam, 8))
    return found.tokens[0, 0].tolist(), float(found.scores[0, 0]), found.weights[0].numpy()


@pytest.mark.parametrize("size", [(1, 20, 30), (3, 33, 50), (4, 16, 24), (23, 40, 31)])
def test_the_same_words_at_every_beam(
    exported: tuple[Captioner, ExportReport], size: tuple[int, int, int]
) -> None:
    network, report = exported
    model, frames = load(report.path, "cpu", task="caption"), drawn_clip(size)
    for beam in (1, 3, 5):
        tokens, score, weights = told(network, frames, beam)
        # The graph chooses frames itself, as the runtime does.
        found = model.outputs(
            {"frames": frames, **model.contract.signature.option_feeds({"beam_size": beam})}
        )
        length = found["tokens"].shape[1]
        assert found["tokens"][0].tolist() == tokens[:length]
        assert found["attention"].shape[1:] == (FRAMES, 1)
        np.testing.assert_allclose(found["attention"][..., 0], weights[:length], atol=1e-4)
        captions = model(frames, beam_size=beam)
        assert captions.best.words == tuple(WORDS[token] for token in tokens[:length] if token)
        assert captions.score == pytest.approx(score, abs=1e-4)
        assert captions.attention.shape[1] == min(FRAMES, size[0])
        np.testing.assert_allclose(captions.attention.sum((1, 2)), 1, atol=1e-5)
    larger = model(np.kron(frames, np.ones((1, 4, 4, 1), np.uint8)))
    assert larger.captions[0].words == model(frames).captions[0].words
    assert larger.size_hw == (4 * size[1], 4 * size[2])


def test_it_is_verified_and_scored(exported: tuple[Captioner, ExportReport], tmp_path: Path) -> None:
    _, report = exported
    assert report.contract.card["input_frames"] == FRAMES
    assert verify(report.path, "cpu").ok
    assert report.parity.comparisons[0].size_hw == (64, 64)
    list(write_told_set(tmp_path, 24, 0))
    scores = score_file(report.path, Named(tmp_path / "test", tmp_path / "test.csv"), device="cpu")
    assert isinstance(scores, CaptionScores)
    assert scores.pictures == 6
