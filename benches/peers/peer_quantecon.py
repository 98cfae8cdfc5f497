"""QuantEcon (compiled by Numba): all and one equilibrium of bimatrix games, a call being some games in turn, and modified
policy iteration of a finite model."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import numpy as np
import quantecon
from quantecon.game_theory import NormalFormGame, Player, lemke_howson, vertex_enumeration
from scipy.sparse import csr_matrix

from generator import bimatrix, draws, uniforms


def games(p, solve):
    all_of_them = []
    for seed in range(1, p["games"] + 1):
        a, b = bimatrix(p["n"], seed).astype(np.float64)
        all_of_them.append(NormalFormGame((Player(a), Player(np.ascontiguousarray(b.T)))))

    def run(n):
        for _ in range(n):
            for game in all_of_them:
                solve(game)

    return run


def planning(p, transitions, rewards, pairs=()):
    model = quantecon.markov.DiscreteDP(rewards, transitions, p["gamma"], *pairs)

    def run(n):
        for _ in range(n):
            found = model.solve(method="modified_policy_iteration", epsilon=p["tolerance"], max_iter=100_000)
        assert found.num_iter < 100_000

    return run


def dense(p):
    s, a = p["states"], p["actions"]
    values = uniforms(draws(1, 2 * (s * a * s + s * a)).reshape(-1, 2))
    transitions = values[: s * a * s].reshape(s, a, s)
    transitions = transitions / transitions.sum(-1, keepdims=True)
    return planning(p, transitions, values[s * a * s :].reshape(s, a))


def sparse(p):
    s, a, k = p["states"], p["actions"], p["next"]
    rows = draws(2, s * a * (2 + k)).reshape(s * a, 2 + k)
    columns = (rows[:, 2:] % np.uint32(s)).ravel()
    places = (np.repeat(np.arange(s * a), k), columns)
    transitions = csr_matrix((np.full(s * a * k, 1.0 / k), places), shape=(s * a, s))
    pairs = (np.repeat(np.arange(s), a), np.tile(np.arange(a), s))
    return planning(p, transitions, uniforms(rows[:, :2]), pairs)


serve(
    {
        "all": lambda p: games(p, vertex_enumeration),
        "lemke_howson": lambda p: games(p, lemke_howson),
        "mpi_dense": dense,
        "mpi_sparse": sparse,
    }
)
