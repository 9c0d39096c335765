from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tombola.train.networks.backbones.backbones import build_backbone
from tombola.train.networks.detect.faster_rcnn import FasterRCNN
from tombola.train.networks.detect.proposals import ProposalSettings
from tombola.train.networks.detect.roi_head import RoiSettings
from tombola.train.networks.detect.sampling import Target
from tombola.train.networks.inputs.picture_input import PictureInput
from tombola.train.networks.layers.operators import roi_align, roi_pool

N_CLASSES = 3


def roi_align_of(features: Tensor, rois_xyxy: Tensor) -> Tensor:
    return roi_align(features, rois_xyxy, torch.zeros(len(rois_xyxy), dtype=torch.int64), 0.125, 3, 2)  # type: ignore[no-any-return]


def roi_pool_of(features: Tensor, rois_xyxy: Tensor) -> Tensor:
    return roi_pool(features, rois_xyxy, torch.zeros(len(rois_xyxy), dtype=torch.int64), 0.125, 3)  # type: ignore[no-any-return]


def build(*, pyramid: bool = True, **roi: Any) -> FasterRCNN:
    torch.manual_seed(0)
    sizes = ((12.0,), (24.0,), (48.0,)) if pyramid else ((12.0, 24.0, 48.0),)
    network = FasterRCNN(
        build_backbone("mobilenet_v2", width=0.25, strides=(8, 16, 32) if pyramid else (16,)),
        N_CLASSES,
        channels=16,
        pyramid=pyramid,
        proposals=ProposalSettings(sizes, after_nms=30, before_nms=80),
        roi=RoiSettings(width=32, pooled_size=3, samples=16, **roi),
    )
    return network.eval()


def target(boxes: list[list[float]], labels: list[int], seed: int = 0) -> Target:
    return Target(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        torch.zeros(len(labels), dtype=torch.bool),
        seed,
    )


def detect(
    network: FasterRCNN, image: Tensor, size_hw: tuple[int, int], score: float, most: int = 100
) -> Any:
    with torch.no_grad():
        return network.detect(image, size_hw, torch.tensor(score), torch.tensor(0.5), torch.tensor(most))


@pytest.mark.parametrize("pyramid", [True, False])
@pytest.mark.parametrize(
    "roi",
    [
        {},
        {"pooling": "pool"},
        {"box_classes": "per-class"},
        {"box_loss": "giou"},
        {"box_classes": "per-class", "box_loss": "giou"},
    ],
)
def test_every_kind_learns_and_detects(pyramid: bool, roi: dict[str, Any]) -> None:
    network = build(pyramid=pyramid, **roi)
    targets = [target([[4, 4, 30, 40], [40, 10, 60, 30]], [0, 2]), target([], [])]
    losses = network(torch.randn(2, 3, 64, 96), targets)
    assert set(losses) == {"objectness", "proposal_box", "class", "box"}
    sum(losses.values()).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []
    boxes, scores, labels = detect(network, torch.randn(1, 3, 64, 96), (60, 90), 0.0)
    assert len(boxes) == len(scores) == len(labels) > 0
    assert (scores[:-1] >= scores[1:]).all()
    assert labels.min() >= 0
    assert labels.max() < N_CLASSES
    assert boxes.min() >= 0
    assert boxes[:, [0, 2]].max() <= 90
    assert boxes[:, [1, 3]].max() <= 60


def test_a_batch_of_two_equals_each_alone() -> None:
    network = build()
    images = torch.randn(2, 3, 64, 64)
    targets = [target([[4, 4, 30, 40]], [0], seed=3), target([[10, 20, 60, 60]], [1], seed=4)]
    together = network(images, targets)
    alone = [network(images[i : i + 1], targets[i : i + 1]) for i in range(2)]
    for name, value in together.items():
        torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2, atol=1e-5, rtol=1e-4)


def test_label_smoothing_spreads_a_share_of_the_label() -> None:
    """(1 - s) of the loss against the label, s of the mean over all classes, background among them."""
    targets, images = [target([[4, 4, 30, 40]], [1])], torch.randn(1, 3, 64, 64)
    network = build(label_smoothing=0.3)
    maps = network.neck(network.backbone(images))
    proposals = [torch.tensor([[0.0, 0.0, 20.0, 20.0], [5.0, 5.0, 30.0, 40.0]])]
    smoothed, _ = network.roi_head.loss(maps, proposals, targets)
    rois, labels, _ = network.roi_head._sample(proposals[0], targets[0])
    order, logits, _ = network.roi_head(maps, rois, torch.zeros(len(rois), dtype=torch.int64))
    surprise = -logits.log_softmax(1)
    hard = surprise[torch.arange(len(rois)), labels[order]]
    torch.testing.assert_close(smoothed, (0.7 * hard + 0.3 * surprise.mean(1)).mean())
    assert len(set(labels.tolist())) == 2


@pytest.mark.parametrize("pool", [roi_align_of, roi_pool_of])
def test_pooling_keeps_its_precision_under_autocast(pool: Callable[[Tensor, Tensor], Tensor]) -> None:
    torch.manual_seed(2)
    features = torch.randn(1, 4, 32, 40, requires_grad=True)
    rois = torch.tensor([[101.3, 33.7, 133.9, 70.2], [200.6, 150.1, 299.4, 251.8]])
    exact = pool(features, rois)
    exact.sum().backward()
    gradient, features.grad = features.grad, None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = pool(features.bfloat16(), rois)
    rounded.float().sum().backward()
    torch.testing.assert_close(rounded.float(), exact, atol=0.02, rtol=0.02)
    torch.testing.assert_close(features.grad, gradient, atol=0.02, rtol=0.02)


def test_thresholds_are_obeyed() -> None:
    network = build()
    image = torch.randn(1, 3, 64, 64)
    _, scores, _ = detect(network, image, (64, 64), 0.0)
    middle = float(scores[len(scores) // 2])
    boxes, fewer, _ = detect(network, image, (64, 64), middle)
    assert (fewer > middle).all()
    assert len(fewer) == int((scores > middle).sum())
    assert len(detect(network, image, (64, 64), 0.0, most=5)[0]) == 5
    assert len(detect(network, image, (64, 64), 1.0)[0]) == 0
    assert boxes.shape[1] == 4


def test_overfits_one_picture() -> None:
    torch.manual_seed(1)
    network = build()
    image = torch.full((1, 3, 64, 64), -0.5)
    image[:, 0, 8:40, 16:56] = 1.0
    wanted = target([[16, 8, 56, 40]], [1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        sum(network(image, [wanted]).values()).backward()
        optimizer.step()
    boxes, scores, labels = detect(network, image, (64, 64), 0.5)
    assert set(labels.tolist()) == {1}
    assert scores[0] > 0.8
    torch.testing.assert_close(boxes[0], wanted.boxes_xyxy[0], atol=4.0, rtol=0)


@pytest.mark.parametrize(
    ("size_hw", "content", "padded"),
    [
        ((1080, 1920), (180, 320), (192, 320)),
        ((640, 480), (320, 240), (320, 256)),
        ((17, 33), (165, 320), (192, 320)),
        ((1, 1), (320, 320), (320, 320)),
        ((1, 2000), (1, 320), (32, 320)),
    ],
)
def test_picture_input_sizes(
    size_hw: tuple[int, int], content: tuple[int, int], padded: tuple[int, int]
) -> None:
    picture_input = PictureInput(320, 32, (100.0, 100.0, 100.0), (0.01, 0.01, 0.01))
    image, found, factors = picture_input(torch.full((*size_hw, 3), 200, dtype=torch.uint8))
    assert found == content
    # To within the rows and columns that halvings leave out.
    wanted = [size_hw[1] / content[1], size_hw[0] / content[0]] * 2
    assert factors.tolist() == pytest.approx(wanted, rel=0.01)
    assert image.shape == (1, 3, *padded)
    # A flat picture stays flat to within the truncation of its resize, and padding is the mean.
    assert image[..., : content[0], : content[1]].min() >= 0.99 - 1e-6
    assert image[..., content[0] :, :].abs().sum() == 0
