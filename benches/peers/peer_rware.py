"""rware: the original warehouse. A call steps one copy once, resets included."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import gymnasium
import numpy as np
import rware  # registers its tasks


def warehouse(name, n_agents):
    def build(p):
        env = gymnasium.make(name).unwrapped
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        actions = [tuple(int(a) for a in rng.integers(0, 5, n_agents)) for _ in range(p["pool"])]

        def run(n):
            for i in range(n):
                _, _, terminated, truncated, _ = env.step(actions[i % len(actions)])
                if terminated or truncated:
                    env.reset()

        return run

    return build


serve({"tiny-2ag": warehouse("rware-tiny-2ag-v2", 2), "small-4ag": warehouse("rware-small-4ag-v2", 4)})
