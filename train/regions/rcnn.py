"""R-CNN (Girshick et al. 2014): proposals cut out and warped, a fixed network's features, and a linear SVM
and a box regressor for each class. Nothing is trained end to end; every proposal goes through the network.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.metrics.iou import box_iou
from tombola.train.metrics.matching import Prediction
from tombola.train.networks.layers.boxes import decode, encode
from tombola.train.networks.layers.operators import batched_nms

# uint8 [n, s, s, 3] crops -> float32 [n, d]
Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

CROP_PX = 96
CONTEXT = 16 / 227  # of the crop's side, on each side (appendix A)
NEGATIVE_IOU = 0.3  # a proposal below it holds nothing (section 2.3)
REGRESSED_IOU = 0.6  # a proposal above it learns to become the box (appendix C)
NMS_IOU = 0.3
RIDGE = 1000.0  # on features of mean norm NORM
NORM = 20.0
SVM_C = 1e-3
CROPS_AT_ONCE = 64
MOST_NEAR, MOST_EMPTY = 40, 100  # proposals of a training picture
MOST_PER_CLASS = 100  # boxes of a class in a picture
OFFSET_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class RegionExample:
    """One training picture: uint8 [h, w, 3], its boxes [t, 4] with labels [t], and proposals [n, 4]."""

    image_rgb_u8: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    proposals_xyxy: NDArray[np.float32]


@dataclass(frozen=True)
class RCNN:
    """A trained R-CNN. scale brings features to mean norm 20; svm float64 [classes, d + 1], the bias last;
    regressor float64 [classes, d + 1, 4]."""

    features: Features
    scale: float
    svm: NDArray[np.float64]
    regressor: NDArray[np.float64]

    def __call__(self, image_rgb_u8: NDArray[np.uint8], proposals_xyxy: NDArray[np.float32]) -> Prediction:
        """Margins as scores, which only rank; boxes in pixels of the picture."""
        features = _with_one(region_features(image_rgb_u8, proposals_xyxy, self.features) * self.scale)
        scores = features @ self.svm.T  # [n, classes]
        height, width = image_rgb_u8.shape[:2]
        found: list[tuple[NDArray[np.float32], NDArray[np.float64], int]] = []
        for label in range(len(self.svm)):
            moved = decode(
                torch.from_numpy(features @ self.regressor[label]).float()[:, None],
                torch.from_numpy(proposals_xyxy)[:, None],
                OFFSET_WEIGHTS,
            )
            boxes = moved[:, 0].numpy().clip(0, [width, height, width, height]).astype(np.float32)
            kept = _suppress(boxes, scores[:, label])
            found.append((boxes[kept], scores[kept, label], label))
        return Prediction(
            np.concatenate([boxes for boxes, _, _ in found]),
            np.concatenate([scores for _, scores, _ in found]),
            np.concatenate([np.full(len(boxes), label) for boxes, _, label in found]),
        )


def train_rcnn(
    examples: Sequence[RegionExample],
    class_count: int,
    features: Features,
    *,
    seed: int = 0,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> RCNN:
    """Fit the SVMs (true boxes against proposals that hold nothing, hard ones added once) and regressors.

    tell: is called with how many pictures are done, of how many. DataError if a class has no box, or without
    scikit-learn.
    """
    rng = np.random.default_rng(seed)
    of_truths, labels, of_nothing, pairs = _collect(examples, features, tell)
    scale = NORM / float(np.linalg.norm(of_truths, axis=1).mean())
    truths, negatives = _with_one(of_truths * scale), _with_one(of_nothing * scale)
    missing = sorted(set(range(class_count)) - set(labels.tolist()))
    if missing:
        raise DataError(f"R-CNN: no training picture holds class number {missing[0]}; give more pictures")
    svm = np.stack([_svm(truths, labels == label, negatives, rng) for label in range(class_count)])
    regressor = np.stack([_ridge(pairs, label, scale) for label in range(class_count)])
    return RCNN(features, scale, svm, regressor)


def chosen_proposals(
    boxes_xyxy: NDArray[np.float32], proposals_xyxy: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Of a training picture's proposals those that teach most: some near a box and some that hold nothing."""
    best = box_iou(proposals_xyxy, boxes_xyxy).max(axis=1, initial=0.0)
    near, empty = np.flatnonzero(best >= REGRESSED_IOU), np.flatnonzero(best < NEGATIVE_IOU)
    chosen = [rng.permutation(near)[:MOST_NEAR], rng.permutation(empty)[:MOST_EMPTY]]
    return np.asarray(proposals_xyxy[np.concatenate(chosen)], np.float32)


def region_features(
    image_rgb_u8: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32], features: Features
) -> NDArray[np.float32]:
    """Features of each box's crop, [n, d]; some crops at a time, so that memory is bounded."""
    parts = [
        features(np.stack([warp(image_rgb_u8, box) for box in boxes_xyxy[start : start + CROPS_AT_ONCE]]))
        for start in range(0, len(boxes_xyxy), CROPS_AT_ONCE)
    ]
    return np.concatenate(parts)


def warp(image_rgb_u8: NDArray[np.uint8], box_xyxy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The box with its context as a square of CROP_PX, whatever its shape was; grey beyond the picture."""
    around = (box_xyxy[2:] - box_xyxy[:2]) * CONTEXT / (1 - 2 * CONTEXT)
    x1, y1 = np.floor(box_xyxy[:2] - around).astype(int).tolist()
    x2, y2 = np.ceil(box_xyxy[2:] + around).astype(int).tolist()
    height, width = image_rgb_u8.shape[:2]
    inside = image_rgb_u8[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
    sides = (max(-y1, 0), max(y2 - height, 0), max(-x1, 0), max(x2 - width, 0))
    part = cv2.copyMakeBorder(inside, *sides, cv2.BORDER_CONSTANT, value=(127, 127, 127))
    return np.asarray(cv2.resize(part, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True)
class _Pairs:
    """Proposals near a box: features [n, d], offsets to the box [n, 4], the box's label [n]."""

    features: NDArray[np.float32]
    offsets: NDArray[np.float32]
    labels: NDArray[np.int64]


def _collect(
    examples: Sequence[RegionExample], features: Features, tell: Callable[[int, int], None]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], _Pairs]:
    """Features of true boxes with labels, of proposals that hold nothing, and the pairs for regression."""
    rows = []
    for number, row in enumerate(_rows(examples, features), 1):
        rows.append(row)
        tell(number, len(examples))
    truths, labels, negatives, near, offsets, near_labels = (
        np.concatenate(column) for column in zip(*rows, strict=True)
    )
    return truths, labels, negatives, _Pairs(near, offsets, near_labels)


def _rows(examples: Sequence[RegionExample], features: Features) -> Iterator[tuple[NDArray[np.generic], ...]]:
    for example in examples:
        proposals = example.proposals_xyxy
        ious = box_iou(proposals, example.boxes_xyxy)  # [n, t]
        best = ious.max(axis=1, initial=0.0)
        closest = ious.argmax(axis=1) if ious.shape[1] else np.zeros(len(proposals), np.int64)
        every = np.concatenate([example.boxes_xyxy, proposals])
        described = region_features(example.image_rgb_u8, every, features)
        of_truths, of_proposals = described[: len(example.boxes_xyxy)], described[len(example.boxes_xyxy) :]
        near = best >= REGRESSED_IOU
        target = torch.from_numpy(example.boxes_xyxy[closest[near]])
        offsets = encode(target, torch.from_numpy(proposals[near]), OFFSET_WEIGHTS).numpy()
        yield (
            of_truths,
            example.labels,
            of_proposals[best < NEGATIVE_IOU],
            of_proposals[near],
            offsets,
            example.labels[closest[near]],
        )


def _svm(
    truths: NDArray[np.float64],
    mine: NDArray[np.bool_],
    negatives: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """One class against nothing and the other classes: [d + 1]. Starts with some negatives, then adds those
    that are inside the margin (section 2.3)."""
    try:
        from sklearn.svm import LinearSVC
    except ImportError:
        raise DataError("R-CNN needs scikit-learn; install it with: pip install 'tombola[regions]'") from None
    against = np.concatenate([negatives, truths[~mine]])
    chosen = np.zeros(len(against), np.bool_)
    chosen[rng.permutation(len(against))[: 10 * int(mine.sum()) + 200]] = True
    for last in (False, True):
        samples = np.concatenate([truths[mine], against[chosen]])
        wanted = np.arange(len(samples)) < mine.sum()
        machine = LinearSVC(
            C=SVM_C, fit_intercept=False, class_weight="balanced", random_state=0, max_iter=5000
        )
        machine.fit(samples, wanted)
        weights = np.asarray(machine.coef_[0], np.float64)
        if not last:
            chosen |= against @ weights > -1.0
    return weights


def _ridge(pairs: _Pairs, label: int, scale: float) -> NDArray[np.float64]:
    """Ridge regression of one class's offsets, [d + 1, 4] (appendix C); zeros where the class has no pair."""
    mine = pairs.labels == label
    inputs = _with_one(pairs.features[mine] * scale)
    penalty = RIDGE * np.eye(inputs.shape[1])
    penalty[-1, -1] = 1e-6  # the bias is free
    return np.asarray(
        np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ pairs.offsets[mine]), np.float64
    )


def _with_one(features: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1).astype(np.float64)


def _suppress(boxes_xyxy: NDArray[np.float32], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows that greedy non-maximum suppression keeps, best first."""
    # Margins may be any number, so none is below the threshold.
    kept = batched_nms(
        torch.from_numpy(boxes_xyxy)[None],
        torch.from_numpy(scores)[None],
        torch.tensor(NMS_IOU),
        torch.tensor(-torch.inf),
        MOST_PER_CLASS,
    )
    return np.asarray(kept[:, 1], np.int64)
