"""gymnasium: CartPole-v1 in its own vectorized form. A call steps all copies once."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import gymnasium
import numpy as np


def cartpole(p):
    envs = gymnasium.make_vec("CartPole-v1", num_envs=p["envs"], vectorization_mode="vector_entry_point")
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = [rng.integers(0, 2, p["envs"]) for _ in range(p["pool"])]

    def run(n):
        for i in range(n):
            envs.step(actions[i % len(actions)])

    return run


serve({"cartpole": cartpole})
