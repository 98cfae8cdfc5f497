"""VMAS: its own simple_spread with three agents, on the processor. A call steps all copies once, resets included."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import torch
import vmas

torch.set_num_threads(int(sys.argv[1]))


def simple_spread(p):
    n_envs = p["envs"]
    env = vmas.make_env("simple_spread", num_envs=n_envs, device="cpu", continuous_actions=False, n_agents=3, seed=0)
    env.reset()
    actions = [[torch.randint(0, 5, (n_envs,)) for _ in range(3)] for _ in range(p["pool"])]
    turn = 0

    def run(n):
        nonlocal turn
        for i in range(n):
            env.step(actions[i % len(actions)])
            turn += 1
            if turn % 25 == 0:
                env.reset()

    return run


serve({"simple_spread": simple_spread})
