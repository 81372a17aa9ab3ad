"""MXFP4: blocks of 32 four-bit floats with one power-of-two scale (OCP Microscaling Formats 1.0). Knows arrays only."""

import numpy as np

BLOCK = 32
VALUES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)  # E2M1; the fourth bit is the sign
BOUNDS = (VALUES[1:] + VALUES[:-1]) / 2  # nearest value


def quantize(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(exponent bytes [..., n/32], codes 0..15 [..., n]) of `weights` [..., n], blocks along the last axis.

    Of the two exponents that fit a block the one with the smaller squared error is taken.
    """
    blocks = weights.astype(np.float32).reshape(*weights.shape[:-1], -1, BLOCK)
    peak = np.abs(blocks).max(axis=-1, keepdims=True)
    # 6 = 1.5 * 2**2 is the largest value, so the exponent of a block is that of its peak less 2
    base = np.floor(np.log2(np.maximum(peak, 2.0**-120))) - 2
    best = None
    for exponent in (base, base + 1):
        scale = np.exp2(exponent)
        codes = np.searchsorted(BOUNDS, np.abs(blocks) / scale).astype(np.uint8)
        error = ((VALUES[codes] * scale - np.abs(blocks)) ** 2).sum(axis=-1, keepdims=True)
        if best is None:
            best = error, codes, exponent
        else:
            better = error < best[0]
            best = np.minimum(error, best[0]), np.where(better, codes, best[1]), np.where(better, exponent, best[2])
    assert best is not None
    _, codes, exponent = best
    codes = codes | (np.signbit(blocks).astype(np.uint8) << 3)
    return (exponent[..., 0] + 127).astype(np.uint8), codes.reshape(weights.shape)


def dequantize(exponents: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The weights [..., n] that the bytes mean."""
    signs = np.where(codes & 8, -1.0, 1.0).astype(np.float32)
    scale = np.exp2(exponents.astype(np.float32) - 127).repeat(BLOCK, axis=-1)
    return signs * VALUES[codes & 7] * scale


def pack(exponents: np.ndarray, codes: np.ndarray) -> bytes:
    """ggml's layout of a block: the exponent, then 16 bytes with its first half in the low nibbles."""
    blocks = codes.reshape(-1, BLOCK)
    packed = np.empty((len(blocks), 17), np.uint8)
    packed[:, 0] = exponents.reshape(-1)
    packed[:, 1:] = blocks[:, :16] | (blocks[:, 16:] << 4)
    return packed.tobytes()


def unpack(data: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(exponent bytes, codes) of weights of `shape` that `pack` wrote."""
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 17)
    codes = np.concatenate([blocks[:, 1:] & 15, blocks[:, 1:] >> 4], axis=1)
    return blocks[:, 0].reshape(*shape[:-1], -1), codes.reshape(shape)


def rounded(weights: np.ndarray) -> np.ndarray:
    """`weights` as they are after a trip through MXFP4."""
    return dequantize(*quantize(weights))
