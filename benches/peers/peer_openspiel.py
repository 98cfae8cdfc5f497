"""OpenSpiel: iterations of its CFR and CFR+ solvers in C++. A call is one iteration."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import pyspiel


def cfr(p):
    game = pyspiel.load_game(p["game"])
    solver = pyspiel.CFRPlusSolver(game) if p["plus"] else pyspiel.CFRSolver(game)

    def run(n):
        for _ in range(n):
            solver.evaluate_and_update_policy()

    return run


serve({"cfr": cfr})
