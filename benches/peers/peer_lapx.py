"""lapx: linear assignment by Jonker-Volgenant (C++). A call is one problem."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import lap

from generator import draws, uniforms


def dense(p):
    costs = uniforms(draws(p["n"], 2 * p["n"] ** 2).reshape(p["n"], p["n"], 2))

    def run(n):
        for _ in range(n):
            lap.lapjv(costs)

    return run


serve({"dense": dense})
