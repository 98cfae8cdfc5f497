"""The linear congruential generator of the benchmarks (`Lcg` in data.rs), so that both sides solve the same problems."""

import numpy as np


def draws(seed, n):
    """The upper halves of the next `n` states."""
    multiplier = np.full(n, 1664525, np.uint32)
    powers = np.multiply.accumulate(multiplier, dtype=np.uint32)
    sums = np.add.accumulate(np.concatenate(([1], powers[:-1])), dtype=np.uint32)
    return (powers * np.uint32(seed) + sums * np.uint32(1013904223)) >> np.uint32(16)


def uniforms(pairs):
    """Numbers in [0, 1) of draws in pairs, `[..., 2]`."""
    return (pairs[..., 0] + pairs[..., 1] / 65536.0) / 65536.0


def bimatrix(n, seed):
    """Payoffs of both players, `[2, n, n]`, whole numbers from -100 to 100."""
    return (draws(seed, 2 * n * n) % np.uint32(201)).astype(np.int64).reshape(2, n, n) - 100
