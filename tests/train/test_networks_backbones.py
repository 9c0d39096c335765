from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tombola.errors import RecipeError, TrainingError
from tombola.train.networks.axis import Axis
from tombola.train.networks.backbones.backbones import BACKBONES, build_backbone
from tombola.train.networks.backbones.mobilenet import round_channels
from tombola.train.networks.layers.convolution import ConvBatchNorm
from tombola.train.start.start import load_start


@pytest.mark.parametrize("name", [name for name in BACKBONES if name != "resnet20"])
def test_maps_have_the_promised_strides_and_channels(name: str) -> None:
    backbone = build_backbone(name, width=0.25).eval()
    maps = backbone(torch.zeros(1, 3, 64, 96))
    for feature_map, stride, axis in zip(maps, backbone.strides, backbone.writes, strict=True):
        assert feature_map.shape == (1, axis.width, 64 // stride, 96 // stride)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Published totals, less the classifier and, where there is one, the last 1×1 convolution.
        ("mobilenet_v2", 3_504_872 - (1280 * 1000 + 1000) - (320 * 1280 + 2 * 1280)),
        ("resnet18", 11_689_512 - (512 * 1000 + 1000)),
        ("resnet34", 21_797_672 - (512 * 1000 + 1000)),
        ("resnet50", 25_557_032 - (2048 * 1000 + 1000)),
        ("efficientnet_lite0", 4_652_008 - (1280 * 1000 + 1000) - (320 * 1280 + 2 * 1280)),
        ("efficientnet_lite2", 6_092_072 - (1280 * 1000 + 1000) - (352 * 1280 + 2 * 1280)),
    ],
)
def test_parameter_counts_are_the_published_ones(name: str, parameters: int) -> None:
    assert sum(p.numel() for p in build_backbone(name).parameters()) == parameters


def test_unknown_backbone_is_named() -> None:
    with pytest.raises(RecipeError, match=r"'vgg'.*resnet18"):
        build_backbone("vgg")


def test_eval_mode_equals_batch_norm_after_convolution() -> None:
    torch.manual_seed(0)
    block = ConvBatchNorm(
        Axis("picture", 3), Axis("maps", 8), 3, stride=2, activation=nn.ReLU6(), same_padding=True
    )
    block(torch.randn(4, 3, 16, 16))  # moves the running statistics
    block.eval()
    x = torch.randn(2, 3, 16, 16)
    padded = nn.functional.pad(x, (0, 1, 0, 1))
    expected = nn.functional.relu6(block.norm(nn.functional.conv2d(padded, block.conv.weight, stride=2)))
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_wide_depthwise_kernels_stay_in_float32_under_autocast(training: bool) -> None:
    torch.manual_seed(0)
    axis = Axis("maps", 8)
    wide, narrow, dense = (
        ConvBatchNorm(axis, axis, kernel, depthwise=depthwise).train(training)
        for kernel, depthwise in ((5, True), (3, True), (5, False))
    )
    x = torch.randn(2, 8, 9, 9)
    seen: list[torch.dtype] = []
    for block in (wide, narrow, dense):
        exact = block.conv(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = block.conv(x)
            seen.append((rounded if training else block(x)).dtype)
        assert torch.equal(rounded.float(), exact) == (block is wide)
        (gradient,) = torch.autograd.grad(rounded.float().square().mean(), block.conv.weight)
        assert gradient.dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16, torch.bfloat16]


@pytest.mark.parametrize(("wanted", "rounded"), [(32, 32), (24 * 0.25, 8), (35.2, 32), (44, 48), (12, 16)])
def test_round_channels(wanted: float, rounded: int) -> None:
    assert round_channels(wanted) == rounded
    assert round_channels(wanted) >= 0.9 * wanted


def torchvision_resnet18() -> dict[str, Tensor]:
    """A state dict with torchvision's names and shapes; every tensor holds a number of its own."""
    shapes: dict[str, tuple[int, ...]] = {}

    def unit(conv: str, norm: str, out: int, inside: int, kernel: int) -> None:
        shapes[f"{conv}.weight"] = (out, inside, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (out,)

    unit("conv1", "bn1", 64, 3, 7)
    inside = 64
    for layer, out in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"layer{layer}.{block}"
            unit(f"{name}.conv1", f"{name}.bn1", out, inside, 3)
            unit(f"{name}.conv2", f"{name}.bn2", out, out, 3)
            if block == 0 and layer > 1:
                unit(f"{name}.downsample.0", f"{name}.downsample.1", out, inside, 1)
            inside = out
    shapes["fc.weight"], shapes["fc.bias"] = (1000, 512), (1000,)
    return {name: torch.full(shape, float(i)) for i, (name, shape) in enumerate(shapes.items())}


def test_public_resnet_weights_land_in_their_places(tmp_path: Path) -> None:
    source = torchvision_resnet18()
    save_file(source, tmp_path / "resnet18.safetensors")
    backbone = build_backbone("resnet18")
    load_start(backbone, tmp_path / "resnet18.safetensors", of_more=True)
    own = backbone.state_dict()
    assert own["stages.0.0.conv.weight"].unique().item() == source["conv1.weight"].unique().item()
    assert own["stages.3.0.shortcut.conv.weight"].unique().item() == (
        source["layer3.0.downsample.0.weight"].unique().item()
    )
    assert own["stages.4.1.body.1.norm.running_var"].unique().item() == (
        source["layer4.1.bn2.running_var"].unique().item()
    )


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    save_file(torchvision_resnet18(), tmp_path / "resnet18.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"not safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "strange.safetensors")
    for name, width, file, words in (
        (
            "resnet18",
            0.5,
            "resnet18",
            r"\[64, 3, 7, 7\] for stages\.0\.0\.conv\.weight, .* wants \[32, .* those of the weights$",
        ),
        ("resnet18", 2.0, "resnet18", r"\[128, 3, 7, 7\]; .* begin with the network that it was cut from"),
        ("resnet34", 1.0, "resnet18", r"the network wants \[64, 64, 3, 3\]"),
        ("resnet18", 1.0, "cut", "cannot be read"),
        ("resnet18", 1.0, "strange", r"nothing for stages\.0\.0\.conv\.weight"),
    ):
        with pytest.raises(TrainingError, match=words):
            load_start(build_backbone(name, width=width), tmp_path / f"{file}.safetensors", of_more=True)


def test_a_file_of_more_than_the_network_is_refused_unless_it_is_said(tmp_path: Path) -> None:
    save_file(torchvision_resnet18(), tmp_path / "resnet18.safetensors")
    with pytest.raises(TrainingError, match=r"2 tensors that the network has not"):
        load_start(build_backbone("resnet18"), tmp_path / "resnet18.safetensors")


def test_mobilenet_without_its_classifier_keeps_its_names(tmp_path: Path) -> None:
    """All of its names begin with "features.", which is no wrapper's."""
    backbone = build_backbone("mobilenet_v2", width=0.25)
    save_file({"features.0.0.weight": torch.ones(8, 3, 3, 3)}, tmp_path / "first.safetensors")
    with pytest.raises(TrainingError, match=r"nothing for stages\.0\.norm\.weight"):
        load_start(backbone, tmp_path / "first.safetensors", of_more=True)
