"""mpe2: simple_spread with three agents, the parallel form. A call steps one copy once, resets included."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import numpy as np
from mpe2 import simple_spread_v3


def simple_spread(p):
    env = simple_spread_v3.parallel_env(N=3, local_ratio=0.5, max_cycles=25)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    names = env.possible_agents
    actions = [{name: int(rng.integers(0, 5)) for name in names} for _ in range(p["pool"])]

    def run(n):
        for i in range(n):
            env.step(actions[i % len(actions)])
            if not env.agents:
                env.reset()

    return run


serve({"simple_spread": simple_spread})
