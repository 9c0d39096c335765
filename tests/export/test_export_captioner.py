"""A captioner from drawn squares to sentences: trained, exported, and the same words from the file."""

import json
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import tombola
from tests.toy_captions import write_toy
from tombola.cli.main import app
from tombola.export.graph.graph import quiet
from tombola.export.graph.translations import OPSET
from tombola.export.quantize.quantize import quantize_file
from tombola.export.run import export_run
from tombola.runtime.pictures.picture import read_rgb
from tombola.runtime.verify import verify
from tombola.train.evaluate import Named, evaluate_run
from tombola.train.networks.caption.captioner import CaptionerSettings, build_captioner
from tombola.train.networks.caption.search import Options, search
from tombola.train.tasks.caption.task import caption_maps
from tombola.train.tasks.table import load_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, run/ and captioner.onnx."""
    root = tmp_path_factory.mktemp("captioner") / "toy"
    recipe = write_toy(root)
    command = ["train", str(recipe), "--out", str(root / "run"), "--set", "training.epochs=14", "-q"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    export_run(root / "run", root / "captioner.onnx", photos=sorted((root / "pictures").glob("0[37].png")))
    return root


def test_how_a_run_answers_is_chosen_after_its_training(toy: Path) -> None:
    scores = [evaluate_run(toy / "run", changes=[f"answer.max_length={length}"]) for length in (2, 8)]
    assert scores[0].main < scores[1].main
    path = toy / "short.onnx"
    command = ["export", str(toy / "run"), "-o", str(path), "--set", "answer.max_length=2"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    photo = next((toy / "pictures").glob("*.png"))
    assert len(tombola.load(path, "cpu", task="caption")(photo)[0].words) == 2


def test_the_file_says_what_the_network_says(toy: Path) -> None:
    network, recipe = load_network(toy / "run")
    captioner = tombola.load(toy / "captioner.onnx", "cpu", task="caption")
    picture_input = recipe.picture.as_input()
    compared = 0
    for path in sorted((toy / "pictures").glob("*.png")):
        image = read_rgb(path)
        with torch.inference_mode():
            maps = network.encoder(picture_input(torch.from_numpy(image)))
            for beam, repeat in ((1, 0), (3, 0), (5, 2)):
                wanted = caption_maps(network, maps, Options.of(beam, 8, 1.0, repeat))
                found = captioner.outputs(
                    {
                        "image": image,
                        **captioner.contract.signature.option_feeds(
                            {"beam_size": beam, "max_length": 8, "no_repeat": repeat}
                        ),
                    }
                )
                length = found["tokens"].shape[1]
                kept = wanted.scores[0] > -torch.inf
                # The file's weights are rounded to float16, so of nearly equal captions the order may differ.
                best = wanted.tokens[0, 0, :length].tolist()
                gap = float(wanted.scores[0, 0] - wanted.scores[0, 1]) if beam > 1 else 1.0
                if gap > 0.01:
                    assert found["tokens"][0].tolist() == best, path
                    compared += 1
                assert np.allclose(found["scores"], wanted.scores[0][kept], atol=0.02)
    assert compared > 50


def test_it_has_learned_and_is_scored_alike_as_run_and_as_file(toy: Path) -> None:
    of_run = evaluate_run(toy / "run")
    assert of_run.main > 3  # 10 is the most; one sentence for all pictures has less than 2
    told = CliRunner().invoke(
        app,
        [
            "evaluate", str(toy / "captioner.onnx"), "--json", "--interval", "--device", "cpu",
            "-a", str(toy / "captions.json"), "-p", str(toy / "pictures"), "--split", "val",
        ],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    scores = json.loads(told.stdout)
    assert scores["pictures"] == 6
    assert scores["cider_d"] > 3
    assert scores["interval"][0] <= scores["cider_d"] <= scores["interval"][1]
    verified = CliRunner().invoke(app, ["verify", str(toy / "captioner.onnx"), "--device", "cpu"])
    assert verified.exit_code == 0, verified.output


def test_nothing_of_the_weights_is_stored_twice(toy: Path) -> None:
    graph = onnx.load(toy / "captioner.onnx").graph
    network, _ = load_network(toy / "run")
    weights = sum(parameter.numel() for parameter in network.parameters())
    stored = sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
    # Beside them there are constants of the halving loop, and batch norms are folded away.
    assert stored < weights + 2500
    names = {tensor.name for tensor in graph.initializer}
    assert {"decoder.words.weight", "decoder.cell.input.weight", "decoder.cell.hidden.weight"} <= names
    assert [node.op_type for node in graph.node].count("Loop") == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "gru", "attention": "general", "units": 8, "embedding": 6},
        {"cell": "lstm", "layers": 2, "residual": True, "attention": "none", "units": 8, "embedding": 6},
        {"kind": "transformer", "layers": 2, "width": 12, "heads": 3, "hidden": 20},
    ],
)
def test_other_decoders_search_alike_in_a_graph(settings: dict[str, object]) -> None:
    torch.manual_seed(4)
    captioner = CaptionerSettings.model_validate(
        {"backbone": "resnet20", "width": 0.25, "features": 8, "decoder": settings}
    )
    decoder = build_captioner(captioner, 12).eval().decoder
    with torch.no_grad():
        decoder.words.weight.mul_(6.0)

    class Searched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder

        def forward(self, cells: Tensor, *options: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            memory = self.decoder.remember(cells)
            count, longest = (cast(int, one.item()) for one in options[:2])
            torch._check(count >= 1)
            torch._check(longest >= 1)
            state = self.decoder.start(memory, count, longest)
            return search(self.decoder.step, memory, state, Options(*options), 5, 12)

    module, cells = Searched(), torch.randn(1, 5, 8)
    names = ["cells", "beam", "longest", "power", "repeat"]
    with quiet():
        program = torch.onnx.export(
            module,
            (cells, *Options.of(3, 7)),
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            verbose=False,
        )
    assert program is not None
    session = ort.InferenceSession(program.model_proto.SerializeToString())
    for seed, beam, longest, repeat in ((0, 1, 9, 0), (1, 3, 7, 1), (2, 6, 12, 2)):
        cells = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(seed))
        fed = (cells, *Options.of(beam, longest, 1.0, repeat))
        tokens, scores, weights = session.run(
            None, {name: one.numpy() for name, one in zip(names, fed, strict=True)}
        )
        with torch.no_grad():
            wanted_tokens, wanted_scores, wanted_weights = module(*fed)
        # Places that no caption filled tie, and which of them comes first is anybody's choice.
        filled = scores > -np.inf
        assert filled.tolist() == (wanted_scores > -torch.inf).tolist()
        assert tokens[filled].tolist() == wanted_tokens.numpy()[filled].tolist()
        np.testing.assert_allclose(scores[filled], wanted_scores.numpy()[filled], atol=1e-5)
        np.testing.assert_allclose(weights, wanted_weights.numpy(), atol=1e-5)


def test_a_picture_without_colours_is_captioned_too(toy: Path) -> None:
    captioner = tombola.load(toy / "captioner.onnx", "cpu", task="caption")
    grey = cv2.cvtColor(read_rgb(toy / "pictures" / "00.png"), cv2.COLOR_RGB2GRAY)
    captions = captioner(cv2.imencode(".png", grey)[1].tobytes())
    assert captions.best.words
    assert captions.attention.shape == (len(captions.best.words), 8, 8)


def test_in_int8_it_says_nearly_the_same(toy: Path) -> None:
    path = toy / "small.onnx"
    data = Named(toy / "pictures", toy / "captions.json")
    # So small a network is not faster by it.
    report = quantize_file(
        toy / "captioner.onnx", path, "int8", pictures=toy / "pictures", held_out=data, force=True
    )
    decoder = {"decoder.cell.input", "decoder.cell.hidden", "decoder.gate", "decoder.last", "decoder.words"}
    assert decoder <= {*report.layers, *report.left_out}
    assert report.score_before is not None
    assert report.score_after is not None
    assert report.score_after.main > report.score_before.main - 0.1
    assert verify(path, "cpu").ok
