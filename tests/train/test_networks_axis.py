"""Networks are narrowed along their axes, and must answer like the wide ones whose other channels are 0."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tombola.errors import RecipeError, TrainingError
from tombola.train.networks.axis import Axes, Axis, Member, Part, Vanished, flattened, members, widths
from tombola.train.networks.backbones.backbones import BACKBONES, build_backbone
from tombola.train.networks.backbones.mobilenet import InvertedResidual
from tombola.train.networks.backbones.resnet import Bottleneck
from tombola.train.networks.classify.classifiers import NetworkSettings, build_classifier
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.detect.proposals import ProposalSettings
from tombola.train.networks.detect.roi_head import RoiSettings
from tombola.train.networks.detect.sampling import Target
from tombola.train.networks.layers.convolution import Conv, ConvBatchNorm
from tombola.train.networks.layers.dense_layer import Linear
from tombola.train.prune.dead import bury_dead
from tombola.train.prune.shrink import entries_of, shrink, vanishing
from tombola.train.recipe.recipe import Section, validate

SIDE = 32
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "mlp": {"kind": "mlp", "widths": [12, 8]},
    "mlp, normed maxout": {"kind": "mlp", "widths": [12, 8], "batch_norm": True, "activation": "maxout"},
    "cnn": {"kind": "cnn", "blocks": [[4, 6], [8]], "dense": [12]},
    "cnn, plain": {
        "kind": "cnn", "blocks": [[4], [8]], "kernel": 5, "padding": False, "batch_norm": False,
        "activation": "maxout",
    },
    "cnn, mean": {"kind": "cnn", "blocks": [[4], [8]], "dense": [], "end": "mean", "activation": "prelu"},
    "resnet18": {"kind": "resnet18", "width": 0.125},
    "resnet34": {"kind": "resnet34", "width": 0.125, "stem": "small"},
    "resnet50": {"kind": "resnet50", "width": 0.125, "stem": "small"},
    "resnet20": {"kind": "resnet20", "width": 0.5},
    "resnet20, looking": {"kind": "resnet20", "width": 0.5, "pooling": "attention"},
    "patches": {
        "kind": "patches", "patch": 8, "layers": 2, "width": 8, "heads": 4, "hidden": 12,
        "pooling": "attention",
    },
    "mobilenet_v2": {"kind": "mobilenet_v2", "width": 0.25},
    "efficientnet_lite0": {"kind": "efficientnet_lite0", "width": 0.25},
    "efficientnet_lite2": {"kind": "efficientnet_lite2", "width": 0.25},
    "densenet": {"kind": "densenet", "blocks": [2, 3], "growth": 4},
    "densenet, large": {"kind": "densenet", "blocks": [1, 2, 1], "growth": 4, "stem": "large"},
    "highway": {"kind": "highway", "width": 9, "depth": 3},
    "highway, sigmoid": {"kind": "highway", "width": 9, "depth": 2, "activation": "maxout"},
}  # fmt: skip
DETECTOR_BACKBONES = [name for name in BACKBONES if name != "resnet20"]

# For each axis the channels that stay.
Kept = Mapping[Axis, Sequence[int]]


class Recipe(Section):
    network: NetworkSettings


def classifier(name: str, stored: Mapping[str, int] | None = None, *, channels: int = 3) -> nn.Module:
    network_settings = validate(Recipe, {"network": CLASSIFIERS[name]}, Path("recipe")).network
    return build_classifier(
        network_settings, channels=channels, size_hw=(SIDE, SIDE), n_classes=5, widths=stored
    )


def detector(
    backbone: str, stored: Mapping[str, int] | None = None, *, pyramid: bool = True, **roi: Any
) -> FasterRCNN:
    axes, sizes = Axes(stored), ((12.0,), (24.0,), (48.0,)) if pyramid else ((12.0, 24.0, 48.0),)
    network = FasterRCNN(
        build_backbone(backbone, width=0.25, strides=(8, 16, 32) if pyramid else (16,), axes=axes),
        3,
        channels=8,
        pyramid=pyramid,
        proposals=ProposalSettings(sizes, after_nms=20),
        roi=RoiSettings(width=10, pooled_size=3, samples=16, **roi),
        axes=axes,
    )
    axes.check_all_used()
    return network


def answers(network: nn.Module) -> Tensor:
    """Everything that the network says of a fixed picture, in one row."""
    draws = torch.Generator().manual_seed(1)
    if not isinstance(network, FasterRCNN):
        return network(torch.randn(2, 3, SIDE, SIDE, generator=draws)).flatten()  # type: ignore[no-any-return]
    rois_xyxy = torch.tensor([[3.0, 4.0, 20.0, 30.0], [10.0, 10.0, 90.0, 60.0], [0.0, 0.0, 96.0, 64.0]])
    maps = network.neck(network.backbone(torch.randn(1, 3, 64, 96, generator=draws)))
    assert network.proposals is not None
    logits, offsets, _ = network.proposals(maps)
    _, class_logits, box_offsets = network.roi_head(maps, rois_xyxy, torch.zeros(3, dtype=torch.int64))
    return torch.cat([one.flatten() for one in (logits, offsets, class_logits, box_offsets)])


def lively(network: nn.Module) -> nn.Module:
    """Biases, norms and statistics that differ from channel to channel, in eval mode; about as loud behind
    every layer."""
    torch.manual_seed(2)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=0.3)
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                nn.init.uniform_(module.weight, 0.5, 1.0)
                nn.init.normal_(module.bias, std=0.3)
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def draw_kept(network: nn.Module, random: Random) -> dict[Axis, list[int]]:
    return {
        axis: []
        if axis.may_vanish and random.random() < 0.2
        else sorted(random.sample(range(axis.width), random.randint(1, axis.width)))
        for axis in members(network)
        if not axis.pinned
    }


def masked(network: nn.Module, kept: Kept) -> None:
    """Zeros wherever a channel that is not kept is written or read, and in the last norm of a block that has
    none left."""
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    for _, block, inside in vanishing(network):
        if not all(kept.get(axis, (0,)) for axis in inside):
            last = [module for module in block.modules() if isinstance(module, ConvBatchNorm)][-1]
            last.norm.weight.data.zero_()
            last.norm.bias.data.zero_()
    for axis, places in members(network).items():
        gone = sorted(set(range(axis.width)) - set(kept.get(axis, range(axis.width))))
        for member in places:
            tensors[member.tensor].data.index_fill_(member.dim, entries_of(member, gone), 0.0)


def check_narrowed(wide: nn.Module, narrow_of: Any, random: Random) -> None:
    kept = draw_kept(lively(wide), random)
    narrow = shrink(wide, {axis.name: channels for axis, channels in kept.items()}, narrow_of)
    masked(wide, kept)
    with torch.no_grad():
        wanted, found = answers(wide), answers(narrow)
    assert wanted.std() > 1e-3
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=4)
def test_a_narrowed_classifier_answers_like_the_masked_one(name: str, random: Random) -> None:
    check_narrowed(classifier(name), lambda stored: classifier(name, stored), random)


@pytest.mark.parametrize("pooling", ["align", "pool"])
@pytest.mark.parametrize("pyramid", [True, False])
@pytest.mark.parametrize("backbone", DETECTOR_BACKBONES)
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=2)
def test_a_narrowed_detector_answers_like_the_masked_one(
    backbone: str, pyramid: bool, pooling: str, random: Random
) -> None:
    def build(stored: Mapping[str, int] | None = None) -> FasterRCNN:
        return detector(backbone, stored, pyramid=pyramid, pooling=pooling)

    check_narrowed(build(), build, random)


def kinds() -> list[Any]:
    made = [
        pytest.param(lambda stored=None, name=name: classifier(name, stored), id=name) for name in CLASSIFIERS
    ]
    for pyramid in (True, False):
        made += [
            pytest.param(
                lambda stored=None, name=name, pyramid=pyramid: detector(name, stored, pyramid=pyramid),
                id=f"{name} {pyramid}",
            )
            for name in DETECTOR_BACKBONES
        ]
    return made


@pytest.mark.parametrize("build", kinds())
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=1)
def test_what_a_mask_kills_is_gone_and_nothing_changes(build: Any, random: Random) -> None:
    wide, sparsity = lively(build()), random.choice([0.5, 0.8, 0.95, 1.0])
    with torch.no_grad():
        for parameter in wide.parameters():
            if parameter.ndim > 1 or random.random() < 0.3:  # now and then biases die, too
                parameter.mul_(torch.rand(parameter.shape) >= sparsity)
    side_hw = (64, 96) if isinstance(wide, FasterRCNN) else (SIDE, SIDE)
    quiet, alive = bury_dead(wide, torch.randn(2, 3, *side_hw))
    narrow = shrink(quiet, alive, build)
    with torch.no_grad():
        torch.testing.assert_close(answers(narrow), answers(wide), atol=1e-5, rtol=1e-5)
    if sparsity == 1.0:
        assert sum(widths(narrow).values()) < 0.2 * sum(widths(wide).values())


@pytest.mark.parametrize(
    ("name", "shift", "gone"),
    [
        ("resnet20", -0.5, {"stages.3.1.hidden", "stages.3.2.hidden"}),
        ("resnet50", -0.5, {f"stages.3.{number}.hidden" for number in (1, 2, 3, 4, 5)}),
        ("resnet20", 0.5, set()),  # behind a ReLU it is no identity
        ("mobilenet_v2", 0.5, {"stages.3.1.hidden", "stages.3.2.hidden"}),
    ],
)
def test_a_residual_block_without_channels_is_gone(name: str, shift: float, gone: set[str]) -> None:
    wide = lively(classifier(name))
    for path, block, inside in vanishing(wide):
        if path.startswith("backbone.stages.3."):
            masked(wide, {axis: [] for axis in inside})
            last = [module for module in block.modules() if isinstance(module, ConvBatchNorm)][-1]
            torch.nn.init.constant_(last.norm.bias, shift)
    quiet, alive = bury_dead(wide, torch.randn(2, 3, SIDE, SIDE))
    empty = {name for name, channels in alive.items() if not channels}
    assert {name for name in empty if not name.endswith("squeezed")} == gone
    narrow = shrink(quiet, alive, lambda stored: classifier(name, stored))
    with torch.no_grad():
        torch.testing.assert_close(answers(narrow), answers(wide), atol=1e-5, rtol=1e-5)
    assert len([one for one in narrow.modules() if isinstance(one, Vanished)]) == len(gone)
    assert {name for name, width in widths(narrow).items() if width == 0} == empty
    again = shrink(narrow, {"stem": [0, 1]}, lambda stored: classifier(name, stored))
    assert widths(again) == {**widths(narrow), "stem": 2}


@pytest.mark.parametrize("build", kinds())
def test_every_entry_lies_on_one_axis(build: Any) -> None:
    network: nn.Module = build()
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    covered = {
        name: [torch.zeros(side, dtype=torch.int64) for side in tensor.shape]
        for name, tensor in tensors.items()
    }
    for axis, places in members(network).items():
        for member in places:
            covered[member.tensor][member.dim].index_add_(
                0,
                entries_of(member, range(axis.width)),
                torch.ones(axis.width * member.block, dtype=torch.int64),
            )
    for name, dims in covered.items():
        module = network.get_submodule(name.rpartition(".")[0])
        for dim, counts in enumerate(dims):
            kernel_side = isinstance(module, nn.Conv2d) and dim > 1
            alone = isinstance(module, nn.Conv2d) and dim == 1 and module.groups > 1
            no_channels = isinstance(module, nn.PReLU) or name.endswith("corners_xyxy")
            wanted = 0 if kernel_side or alone or no_channels else 1
            assert (counts == wanted).all(), (name, dim)


@pytest.mark.parametrize("build", kinds())
def test_its_own_widths_build_the_same_network(build: Any) -> None:
    network: nn.Module = build()
    axes = [axis for axis in members(network) if not axis.pinned]
    assert widths(network) == {axis.name: axis.width for axis in axes}
    assert len(widths(network)) == len(axes)


def test_a_narrowed_detector_learns() -> None:
    network = detector(
        "efficientnet_lite0", {"neck": 5, "stages.2": 3, "stages.2.0.hidden": 7, "roi_head.0": 4}
    )
    boxes = torch.tensor([[4.0, 4.0, 30.0, 40.0]])
    target = Target(boxes, torch.tensor([1]), torch.tensor([False]), 0)
    sum(network(torch.randn(1, 3, 64, 96), [target]).values()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


# What shares an axis.


def axis_named(network: nn.Module, name: str) -> tuple[Member, ...]:
    (found,) = (places for axis, places in members(network).items() if axis.name == name)
    return found


def test_a_residual_sum_is_one_axis_and_the_pool_behind_the_stem_joins_it() -> None:
    network = classifier("resnet18")
    writers = [member.tensor for member in axis_named(network, "stem") if member.dim == 0]
    assert [name for name in writers if name.endswith("conv.weight")] == [
        "backbone.stages.0.0.conv.weight",
        "backbone.stages.1.0.body.1.conv.weight",
        "backbone.stages.1.1.body.1.conv.weight",
    ]


def test_levels_of_the_pyramid_share_an_axis_and_a_pooled_proposal_is_a_block_of_it() -> None:
    network = detector("mobilenet_v2")
    neck = axis_named(network, "neck")
    assert Member("roi_head.hidden.0.weight", 1, 0, 9) in neck
    assert [member.tensor for member in neck if member.tensor.startswith("neck.")] == [
        f"neck.smooths.{level}.{part}" for level in range(3) for part in ("weight", "bias")
    ]
    assert {Member("proposals.slide.0.weight", 0, 0, 1), Member("proposals.slide.1.weight", 1, 0, 1)} <= {
        *neck
    }


def test_maxout_joins_two_halves_and_flatten_makes_blocks() -> None:
    network = classifier("mlp, normed maxout")
    assert axis_named(network, "layers.0")[:2] == (
        Member("layers.0.0.linear.weight", 0, 0, 1),
        Member("layers.0.0.linear.weight", 0, 12, 1),
    )
    assert axis_named(network, "picture") == (Member("layers.0.0.linear.weight", 1, 0, SIDE * SIDE),)
    axis, other = Axis("a", 2), Axis("b", 3)
    assert flattened((Part(axis), Part(other, 2)), 6) == (Part(axis, 6), Part(other, 12))
    out = Axis("out", 4, pinned=True)
    assert members(Linear(flattened((Part(axis), Part(other)), 6), out, bias=False)) == {
        out: (Member("weight", 0, 0, 1),),
        axis: (Member("weight", 1, 0, 6),),
        other: (Member("weight", 1, 12, 6),),
    }


def test_a_concatenation_reads_axis_after_axis() -> None:
    network = classifier("densenet")
    places = [
        next(
            member
            for member in axis_named(network, name)
            if member.tensor == "stages.0.transition.norm.weight"
        )
        for name in ("stem", "stages.0.0", "stages.0.1")
    ]
    assert [member.start for member in places] == [0, 8, 12]


def test_equal_numbers_make_no_shortcut() -> None:
    mobile = build_backbone("mobilenet_v2", axes=Axes({"stages.1": 32}))  # as many as the stem
    first = mobile.get_submodule("stages.1.0")
    assert isinstance(first, InvertedResidual)
    assert not first.has_shortcut
    bottlenecks = build_backbone("resnet50", width=0.25, axes=Axes({"stem": 16, "stages.1": 16}))
    block = bottlenecks.get_submodule("stages.1.0")
    assert isinstance(block, Bottleneck)
    assert not isinstance(block.shortcut, nn.Identity)


def test_axes_are_themselves_alone() -> None:
    assert Axis("a", 3) != Axis("a", 3)
    assert len({Axis("a", 3), Axis("a", 3)}) == 2


# Bad input.


def test_widths_of_another_network_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"no axis 'stages\.9'.*stem"):
        classifier("resnet18", {"stages.9": 4})
    for name in ("stem", "stages.2.0.hidden"):  # the block around it is no identity
        with pytest.raises(TrainingError, match=rf"{name} = 0.*at least one channel"):
            classifier("resnet18", {name: 0})


def test_a_backbone_without_the_strides_is_refused() -> None:
    with pytest.raises(RecipeError, match="strides 1, 2, 4 and none of 8"):
        build_backbone("resnet20")


def test_a_layer_without_axes_is_named() -> None:
    with pytest.raises(TypeError, match=r"0\.weight of Linear is on no axis"):
        members(nn.Sequential(nn.Linear(2, 3)))
    layer = Linear(Axis("in", 2), Axis("out", 3))
    layer.weight = nn.Parameter(torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"weight is \[3, 4\], its layer says \[3, 2\]"):
        members(layer)


def test_depthwise_layers_write_what_they_read() -> None:
    with pytest.raises(AssertionError):
        Conv(Axis("a", 4), Axis("b", 4), 3, depthwise=True)
