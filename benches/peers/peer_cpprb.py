"""cpprb: priority updates and samples of a prioritized buffer that is full. A call is one batch of `batch` entries."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import numpy as np
from cpprb import PrioritizedReplayBuffer


def filled(p):
    n = p["capacity"]
    rng = np.random.default_rng(0)
    # One byte an entry, so that a sample is the draw and hardly any gathering.
    buffer = PrioritizedReplayBuffer(n, {"x": {"dtype": np.uint8}}, alpha=0.6)
    for start in range(0, n, 1 << 16):
        size = min(1 << 16, n - start)
        buffer.add(x=np.zeros(size, np.uint8), priorities=rng.uniform(0.01, 2.0, size))
    return buffer, rng


def update(p):
    buffer, rng = filled(p)
    ids = [rng.integers(0, p["capacity"], p["batch"]) for _ in range(p["pool"])]
    priorities = [rng.uniform(0.01, 2.0, p["batch"]) for _ in range(p["pool"])]

    def run(n):
        for i in range(n):
            buffer.update_priorities(ids[i % len(ids)], priorities[i % len(ids)])

    return run


def sample(p):
    buffer, _ = filled(p)

    def run(n):
        for _ in range(n):
            buffer.sample(p["batch"], beta=0.4)

    return run


serve({"priority_update": update, "sample": sample})
