"""Bilinear resize of bytes, bit for bit as onnxruntime's Resize(linear, half_pixel) does it on uint8 NHWC."""

import numpy as np
from numpy.typing import NDArray

ONE = 1024  # weights have 10 bits


def bilinear(image_rgb_u8: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the picture uint8 [h, w, 3] as uint8 [height, width, 3]; the input is not changed.

    The result is truncated, so it is about a third of a grey level darker than a rounded one. Nothing is
    averaged beyond 2 × 2 pixels: a picture more than twice too large is to be halved first.
    """
    if height == image_rgb_u8.shape[0]:
        # onnxruntime then takes the picture for NCHW and computes in float32.
        return image_rgb_u8 if width == image_rgb_u8.shape[1] else _along_width(image_rgb_u8, width)
    rows_a, rows_b, of_rows_b = _fixed_point_taps(image_rgb_u8.shape[0], height)
    cols_a, cols_b, of_cols_b = _fixed_point_taps(image_rgb_u8.shape[1], width)
    flat = np.ascontiguousarray(image_rgb_u8).reshape(image_rgb_u8.shape[0], -1)  # [h, w * 3]
    rows = flat.take(rows_a, axis=0) * (ONE - of_rows_b)[:, None]
    rows += flat.take(rows_b, axis=0) * of_rows_b[:, None]
    # The sum of the four products fits 28 bits.
    channels, weights = np.arange(3), np.repeat(of_cols_b, 3)
    out = rows.take((cols_a[:, None] * 3 + channels).ravel(), axis=1)
    out *= ONE - weights
    right = rows.take((cols_b[:, None] * 3 + channels).ravel(), axis=1)
    right *= weights
    out += right
    out >>= 20
    return out.astype(np.uint8).reshape(height, width, 3)


def _along_width(image_rgb_u8: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """[h, w, 3] -> [h, width, 3] in float32, the channels as the axis that stays."""
    first, second, position = _taps(image_rgb_u8.shape[1], width)
    half = np.float32(0.5)
    of_second = np.where(first == second, half, position - first)[:, None].astype(np.float32)
    of_first = np.where(first == second, half, second - position)[:, None].astype(np.float32)
    left = image_rgb_u8[:, first].astype(np.float32)
    right = image_rgb_u8[:, second].astype(np.float32)
    out = left * of_first + right * of_second
    # The last channel has no next one: its two halves are added apart, and rounded apart.
    apart = right[..., 2] * (of_second[:, 0] * half)
    out[..., 2] = left[..., 2] * of_first[:, 0] + apart + apart
    return out.astype(np.uint8)


def _fixed_point_taps(
    length_in: int, length_out: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """For each output position the two input positions and the 10-bit weight of the second."""
    first, second, position = _taps(length_in, length_out)
    weight = np.where(
        second == first, ONE // 2, ((position - first.astype(np.float32)) * ONE).astype(np.int32)
    )
    return first, second, weight.astype(np.int32)


def _taps(
    length_in: int, length_out: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each output position the two input positions and where between them it lies, in float32."""
    scale = np.float32(length_out) / np.float32(length_in)
    position = (np.arange(length_out, dtype=np.float32) + np.float32(0.5)) / scale - np.float32(0.5)
    position = np.clip(position, np.float32(0), np.float32(length_in - 1))
    first = np.floor(position).astype(np.int64)
    return first, np.minimum(first + 1, length_in - 1), position
