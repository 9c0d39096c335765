import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from tombola.errors import TrainingError
from tombola.train.networks.classify.backbone_classifier import InvertedResidualSettings, ResNetSettings
from tombola.train.networks.classify.classifiers import NetworkSettings, build_classifier
from tombola.train.networks.classify.cnn import CnnSettings
from tombola.train.networks.classify.densenet import DenseNetSettings
from tombola.train.networks.classify.mlp import MlpSettings
from tombola.train.start.start import load_start, weights_file

SMALL_CNN = CnnSettings(blocks=((4,), (8,)), dense=(12,), block_dropout=0.5)


def build(settings: NetworkSettings, n_classes: int = 10, seed: int = 0, channels: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return build_classifier(settings, channels=channels, size_hw=(32, 32), n_classes=n_classes)


def scrambled(network: nn.Module) -> nn.Module:
    """The network in eval mode with statistics as if it had been trained."""
    for name, buffer in network.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return network.eval()


class Reference:
    """Torchvision's arithmetic as functions; the state dict grows, by torchvision's names, at first use."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def conv(self, name: str, x: Tensor, out: int, kernel: int, stride: int = 1) -> Tensor:
        scale = (2 / (x.shape[1] * kernel**2)) ** 0.5
        weight = self.tensors.setdefault(
            f"{name}.weight", torch.randn(out, x.shape[1], kernel, kernel) * scale
        )
        return F.conv2d(x, weight, stride=stride, padding=kernel // 2)

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (
            self.tensors.setdefault(f"{name}.{part}", torch.rand(x.shape[1]) + 0.5)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        self.tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)
        return F.batch_norm(x, mean, var, weight, bias)

    def linear(self, name: str, x: Tensor, out: int) -> Tensor:
        weight = self.tensors.setdefault(f"{name}.weight", torch.randn(out, x.shape[1]))
        return F.linear(x, weight, self.tensors.setdefault(f"{name}.bias", torch.randn(out)))


def torchvision_resnet(
    reference: Reference, x: Tensor, repeats: tuple[int, ...], *, bottleneck: bool
) -> Tensor:
    x = F.max_pool2d(reference.norm("bn1", reference.conv("conv1", x, 8, 7, 2)).relu(), 3, 2, 1)
    for layer, repeat in enumerate(repeats, start=1):
        inner = 8 * 2 ** (layer - 1)
        for block in range(repeat):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            plan = (
                [(inner, 1, 1), (inner, 3, stride), (4 * inner, 1, 1)]
                if bottleneck
                else [(inner, 3, stride), (inner, 3, 1)]
            )
            out = x
            for index, (width, kernel, step) in enumerate(plan, start=1):
                out = reference.conv(f"{name}.conv{index}", out, width, kernel, step)
                out = reference.norm(f"{name}.bn{index}", out)
                out = out.relu() if index < len(plan) else out
            if out.shape != x.shape:
                x = reference.conv(f"{name}.downsample.0", x, out.shape[1], 1, stride)
                x = reference.norm(f"{name}.downsample.1", x)
            x = (out + x).relu()
    return reference.linear("fc", x.mean((2, 3)), 10)


def inverted_residuals(
    reference: Reference,
    x: Tensor,
    plan: tuple[tuple[int, int, int, int, int], ...],
    names: Callable[[str, int], tuple[str, str]],
    *,
    same: bool,
    stem: int = 8,
) -> Tensor:
    """plan: (repeats, kernel, stride, expansion, channels) a stage; `same` pads as TensorFlow does."""

    def unit(
        name: tuple[str, str], x: Tensor, out: int, kernel: int, stride: int, *, depthwise: bool
    ) -> Tensor:
        weight = reference.tensors.setdefault(
            f"{name[0]}.weight", torch.randn(out, 1 if depthwise else x.shape[1], kernel, kernel)
            * (2 / kernel**2 / (1 if depthwise else x.shape[1])) ** 0.5
        )  # fmt: skip
        before, after = kernel // 2, kernel // 2
        if same:
            total = kernel - stride  # of even sides
            before, after = total // 2, total - total // 2
        x = F.pad(x, (before, after, before, after))
        x = F.conv2d(x, weight, stride=stride, groups=out if depthwise else 1)
        mean, var, scale, bias = (
            reference.tensors.setdefault(f"{name[1]}.{part}", torch.rand(out) + 0.5)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, scale, bias, eps=1e-3 if same else 1e-5)

    x = F.relu6(unit(names("stem", 0), x, stem, 3, 2, depthwise=False))
    block = 0
    for repeats, kernel, stride, expansion, out in plan:
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            y = x
            if expansion > 1:
                y = F.relu6(unit(names("expand", block), y, expansion * x.shape[1], 1, 1, depthwise=False))
            depth = "depth" if expansion > 1 else "first depth"
            y = F.relu6(unit(names(depth, block), y, y.shape[1], kernel, step, depthwise=True))
            project = "project" if expansion > 1 else "first project"
            y = unit(names(project, block), y, out, 1, 1, depthwise=False)
            x = x + y if x.shape == y.shape else y
            block += 1
    x = F.relu6(unit(names("last", block), x, 1280, 1, 1, depthwise=False))
    return reference.linear(names("head", 0)[0], x.mean((2, 3)), 10)


def torchvision_mobilenet_names(part: str, block: int) -> tuple[str, str]:
    inside = f"features.{block + 1}.conv"
    return {
        "stem": ("features.0.0", "features.0.1"),
        "expand": (f"{inside}.0.0", f"{inside}.0.1"),
        "depth": (f"{inside}.1.0", f"{inside}.1.1"),
        "project": (f"{inside}.2", f"{inside}.3"),
        "first depth": (f"{inside}.0.0", f"{inside}.0.1"),
        "first project": (f"{inside}.1", f"{inside}.2"),
        "last": (f"features.{block + 1}.0", f"features.{block + 1}.1"),
        "head": ("classifier.1", ""),
    }[part]


def lukemelas_efficientnet_names(part: str, block: int) -> tuple[str, str]:
    inside = f"_blocks.{block}"
    depth, project = (
        (f"{inside}._depthwise_conv", f"{inside}._bn1"),
        (f"{inside}._project_conv", f"{inside}._bn2"),
    )
    return {
        "stem": ("_conv_stem", "_bn0"),
        "expand": (f"{inside}._expand_conv", f"{inside}._bn0"),
        "depth": depth, "first depth": depth, "project": project, "first project": project,
        "last": ("_conv_head", "_bn1"),
        "head": ("_fc", ""),
    }[part]  # fmt: skip


def torchvision_densenet(reference: Reference, x: Tensor, blocks: tuple[int, ...], growth: int) -> Tensor:
    x = reference.norm("features.norm0", reference.conv("features.conv0", x, 2 * growth, 7, 2)).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for block, layers in enumerate(blocks, start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            new = reference.conv(f"{name}.conv1", reference.norm(f"{name}.norm1", x).relu(), 4 * growth, 1)
            new = reference.conv(f"{name}.conv2", reference.norm(f"{name}.norm2", new).relu(), growth, 3)
            x = torch.cat([x, new], 1)
        if block < len(blocks):
            name = f"features.transition{block}"
            x = reference.conv(f"{name}.conv", reference.norm(f"{name}.norm", x).relu(), x.shape[1] // 2, 1)
            x = F.avg_pool2d(x, 2)
    return reference.linear("classifier", reference.norm("features.norm5", x).relu().mean((2, 3)), 10)


@pytest.mark.parametrize(
    ("kind", "repeats", "bottleneck"), [("resnet18", (2, 2, 2, 2), False), ("resnet50", (3, 4, 6, 3), True)]
)
def test_a_resnet_with_torchvisions_weights_answers_as_torchvision_does(
    kind: str, repeats: tuple[int, ...], bottleneck: bool, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    reference, x = Reference(), torch.randn(2, 3, 64, 64)
    expected = torchvision_resnet(reference, x, repeats, bottleneck=bottleneck)
    save_file(reference.tensors, tmp_path / "public.safetensors")
    network = build(ResNetSettings.model_validate({"kind": kind, "width": 0.125}))
    load_start(network, tmp_path / "public.safetensors")
    torch.testing.assert_close(network.eval()(x), expected, rtol=1e-4, atol=1e-4)


def test_a_mobilenet_with_torchvisions_weights_answers_as_torchvision_does(tmp_path: Path) -> None:
    torch.manual_seed(1)
    reference, x = Reference(), torch.randn(2, 3, 64, 96)
    plan = (
        (1, 3, 1, 1, 8), (2, 3, 2, 6, 8), (3, 3, 2, 6, 8), (4, 3, 2, 6, 16), (3, 3, 1, 6, 24),
        (3, 3, 2, 6, 40), (1, 3, 1, 6, 80),
    )  # fmt: skip
    expected = inverted_residuals(reference, x, plan, torchvision_mobilenet_names, same=False)
    torch.save(reference.tensors, tmp_path / "public.pth")
    network = build(InvertedResidualSettings(kind="mobilenet_v2", width=0.25))
    load_start(network, tmp_path / "public.pth")
    torch.testing.assert_close(network.eval()(x), expected, rtol=1e-4, atol=1e-4)


def test_an_efficientnet_lite_with_public_weights_answers_as_it_does(tmp_path: Path) -> None:
    torch.manual_seed(1)
    reference, x = Reference(), torch.randn(2, 3, 64, 96)
    plan = (
        (1, 3, 1, 1, 8), (2, 3, 2, 6, 8), (2, 5, 2, 6, 16), (3, 3, 2, 6, 24), (3, 5, 1, 6, 32),
        (4, 5, 2, 6, 48), (1, 3, 1, 6, 80),
    )  # fmt: skip
    expected = inverted_residuals(reference, x, plan, lukemelas_efficientnet_names, same=True, stem=32)
    save_file(reference.tensors, tmp_path / "public.safetensors")
    network = build(InvertedResidualSettings(kind="efficientnet_lite0", width=0.25))
    load_start(network, tmp_path / "public.safetensors")
    torch.testing.assert_close(network.eval()(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("elder", [False, True])
def test_a_densenet_with_torchvisions_weights_answers_as_torchvision_does(
    elder: bool, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    reference, x = Reference(), torch.randn(2, 3, 64, 64)
    expected = torchvision_densenet(reference, x, (2, 3, 2), 4)
    tensors = {
        # The files that torchvision publishes were saved when these names had a dot more.
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2.") if elder else name: tensor
        for name, tensor in reference.tensors.items()
    }
    torch.save(tensors, tmp_path / "public.pth")
    network = build(DenseNetSettings(blocks=(2, 3, 2), growth=4, stem="large"))
    load_start(network, tmp_path / "public.pth")
    torch.testing.assert_close(network.eval()(x), expected, rtol=1e-4, atol=1e-4)


def test_a_run_folder_gives_its_best_weights(tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").touch()
    assert weights_file(tmp_path) == tmp_path / "last.safetensors"
    (tmp_path / "best.safetensors").touch()
    assert weights_file(tmp_path) == tmp_path / "best.safetensors"


@pytest.mark.parametrize("n_classes", [4, 10])
def test_a_head_that_is_not_to_be_kept_stays_fresh(n_classes: int, tmp_path: Path) -> None:
    trained = scrambled(build(SMALL_CNN, n_classes=10, seed=1))
    save_file(trained.state_dict(), tmp_path / "best.safetensors")
    network, untouched = build(SMALL_CNN, n_classes=n_classes), build(SMALL_CNN, n_classes=n_classes)
    load_start(network, tmp_path / "best.safetensors", fresh=("head.",))
    for name, tensor in network.state_dict().items():
        if name.startswith("head"):
            assert torch.equal(tensor, untouched.state_dict()[name])
        elif "num_batches" not in name:
            assert torch.equal(tensor, trained.state_dict()[name])


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "backbone.", "module._orig_mod.net."])
def test_prefixes_of_wrappers_do_not_matter(prefix: str, tmp_path: Path) -> None:
    trained = scrambled(build(SMALL_CNN, seed=1))
    torch.save(
        {"state_dict": {f"{prefix}{name}": value for name, value in trained.state_dict().items()}},
        tmp_path / "checkpoint.pth",
    )
    network = build(SMALL_CNN)
    load_start(network, tmp_path / "checkpoint.pth")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(network.eval()(x), trained(x))


def test_the_names_of_a_network_of_one_layer_are_no_prefix(tmp_path: Path) -> None:
    trained = build(MlpSettings(widths=()), seed=1)
    save_file(trained.state_dict(), tmp_path / "linear.safetensors")
    network = build(MlpSettings(widths=()))
    load_start(network, tmp_path / "linear.safetensors")
    assert torch.equal(network.state_dict()["head.weight"], trained.state_dict()["head.weight"])


def test_half_precision_weights_are_widened(tmp_path: Path) -> None:
    trained = build(SMALL_CNN, seed=1)
    save_file(
        {name: value.half() for name, value in trained.state_dict().items()}, tmp_path / "h.safetensors"
    )
    network = build(SMALL_CNN)
    load_start(network, tmp_path / "h.safetensors")
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    assert torch.equal(
        network.state_dict()["head.weight"], trained.state_dict()["head.weight"].half().float()
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file(build(SMALL_CNN, channels=1).state_dict(), file)
    with pytest.raises(TrainingError, match=r"\[4, 1, 3, 3\] for blocks\.0\.0\.conv\.weight.*\[4, 3, 3, 3\]"):
        load_start(build(SMALL_CNN), file)
    save_file(build(MlpSettings(widths=(8,))).state_dict(), file)
    with pytest.raises(TrainingError, match=r"nothing for blocks\.0"):
        load_start(build(SMALL_CNN), file)


def test_weights_of_a_deeper_network_are_refused(tmp_path: Path) -> None:
    deeper = build(ResNetSettings(kind="resnet34", width=0.125))
    save_file(deeper.state_dict(), tmp_path / "deep.safetensors")
    with pytest.raises(TrainingError, match=r"tensors that the network has not, backbone"):
        load_start(build(ResNetSettings(kind="resnet18", width=0.125)), tmp_path / "deep.safetensors")


def test_weights_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    wrong = build(SMALL_CNN, seed=1).state_dict()
    wrong["dense.0.0.linear.weight"] = torch.zeros(1, 1)
    save_file(wrong, tmp_path / "wrong.safetensors")
    network, before = build(SMALL_CNN), build(SMALL_CNN)
    with pytest.raises(TrainingError, match=r"dense\.0\.0\.linear\.weight"):
        load_start(network, tmp_path / "wrong.safetensors")
    for name, value in network.state_dict().items():
        assert torch.equal(value, before.state_dict()[name])


def test_weights_with_nan_are_refused(tmp_path: Path) -> None:
    spoilt = build(SMALL_CNN).state_dict()
    spoilt["blocks.0.0.norm.running_var"][0] = torch.nan
    save_file(spoilt, tmp_path / "nan.safetensors")
    with pytest.raises(TrainingError, match=r"NaN.*blocks\.0\.0\.norm\.running_var"):
        load_start(build(SMALL_CNN), tmp_path / "nan.safetensors")


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (Path("was-here"),))


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"head.weight": Malicious()}, tmp_path / "bad.pth")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Malicious(), protocol=2))
    for name in ("bad.pth", "bare.pt"):
        with pytest.raises(TrainingError, match=name):
            load_start(build(SMALL_CNN), tmp_path / name)
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingError, match=name):
        load_start(build(SMALL_CNN), tmp_path / name)


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    for name in ("no.safetensors", "no.pth"):
        with pytest.raises(TrainingError, match=rf"{name} does not exist"):
            weights_file(tmp_path / name)
    with pytest.raises(TrainingError, match=r"neither best\.safetensors nor last\.safetensors"):
        weights_file(tmp_path)
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(TrainingError, match="not a dictionary of named tensors"):
        load_start(build(SMALL_CNN), tmp_path / "list.pth")


def test_a_pickle_that_ends_in_an_odd_error_is_named(tmp_path: Path) -> None:
    for content in (b"\x80\x02e.", b"\x80\x02G\x00"):  # IndexError and struct.error of PyTorch's reader
        (tmp_path / "odd.pth").write_bytes(content)
        with pytest.raises(TrainingError, match=r"odd\.pth cannot be read"):
            load_start(build(SMALL_CNN), tmp_path / "odd.pth")


@pytest.mark.parametrize("tensor", [torch.eye(3).to_sparse(), torch.eye(3).to(torch.complex64)])
def test_sparse_and_complex_tensors_are_refused(tensor: Tensor, tmp_path: Path) -> None:
    torch.save({"head.weight": tensor}, tmp_path / "odd.pth")
    with pytest.raises(TrainingError, match="all dense and real"):
        load_start(build(SMALL_CNN), tmp_path / "odd.pth")
