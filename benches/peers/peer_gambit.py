"""Gambit: all equilibria of bimatrix games in rationals. A call is some games in turn."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import pygambit

from generator import bimatrix


def all_exact(p):
    games = [pygambit.StrategicGame.from_arrays(*bimatrix(p["n"], seed)) for seed in range(1, p["games"] + 1)]

    def run(n):
        for _ in range(n):
            for game in games:
                pygambit.nash.enummixed_solve(game, rational=True)

    return run


serve({"all_exact": all_exact})
