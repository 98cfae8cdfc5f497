"""lbforaging: the original foraging. A call steps one copy once, resets included."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import gymnasium
import lbforaging  # registers its tasks
import numpy as np


def foraging(p):
    env = gymnasium.make("Foraging-8x8-2p-2f-v3").unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = [tuple(int(a) for a in rng.integers(0, 6, 2)) for _ in range(p["pool"])]

    def run(n):
        for i in range(n):
            _, _, terminated, truncated, _ = env.step(actions[i % len(actions)])
            if terminated or truncated:
                env.reset()

    return run


serve({"foraging-8x8-2p-2f": foraging})
