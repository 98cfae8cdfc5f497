"""Nashpy: all and one equilibrium of bimatrix games. A call is some games in turn."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import nashpy
import numpy as np

from generator import bimatrix

np.seterr(all="ignore")  # Its pivots divide by zero, with two lines of warning each time.


def games(p, solve):
    all_of_them = [nashpy.Game(*bimatrix(p["n"], seed).astype(np.float64)) for seed in range(1, p["games"] + 1)]

    def run(n):
        for _ in range(n):
            for game in all_of_them:
                solve(game)

    return run


serve(
    {
        "all": lambda p: games(p, lambda game: list(game.vertex_enumeration())),
        "lemke_howson": lambda p: games(p, lambda game: game.lemke_howson(initial_dropped_label=0)),
    }
)
