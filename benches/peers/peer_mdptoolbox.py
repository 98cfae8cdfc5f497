"""pymdptoolbox: modified policy iteration of a dense model. A call is one plan."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import numpy as np
from mdptoolbox.mdp import PolicyIterationModified

from generator import draws, uniforms


def dense(p):
    s, a = p["states"], p["actions"]
    values = uniforms(draws(1, 2 * (s * a * s + s * a)).reshape(-1, 2))
    transitions = values[: s * a * s].reshape(s, a, s)
    transitions = np.ascontiguousarray((transitions / transitions.sum(-1, keepdims=True)).swapaxes(0, 1))
    rewards = values[s * a * s :].reshape(s, a)

    def run(n):
        for _ in range(n):
            PolicyIterationModified(
                transitions, rewards, p["gamma"], epsilon=p["tolerance"], max_iter=100_000
            ).run()

    return run


serve({"mpi_dense": dense})
