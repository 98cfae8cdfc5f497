"""SciPy: linear assignment (C++), dense and sparse, and zero-sum games by HiGHS. A call is one problem."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import numpy as np
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from generator import draws, uniforms


def repeated(solve):
    def run(n):
        for _ in range(n):
            solve()

    return run


def dense(p):
    costs = uniforms(draws(p["n"], 2 * p["n"] ** 2).reshape(p["n"], p["n"], 2))
    return repeated(lambda: linear_sum_assignment(costs))


def sparse(p):
    n, k = p["n"], p["per_row"]
    entries = draws(3, 3 * n * k).reshape(n, k, 3)
    columns = np.arange(k) * (n // k) + entries[..., 0] % np.uint32(n // k)
    costs = 1.0 + uniforms(entries[..., 1:])
    starts = np.arange(0, n * k + 1, k)
    matrix = csr_matrix((costs.ravel(), columns.ravel(), starts), shape=(n, n))
    return repeated(lambda: min_weight_full_bipartite_matching(matrix))


def zero_sum(p):
    n = p["n"]
    table = 2.0 * uniforms(draws(n, 2 * n * n).reshape(n, n, 2)) - 1.0
    # The row player's mixed strategy and the value v: maximize v where v is at most what each column pays.
    columns = np.hstack([-table.T, np.ones((n, 1))])
    total = np.append(np.ones(n), 0.0)[None]
    objective = np.append(np.zeros(n), -1.0)
    bounds = [(0, None)] * n + [(None, None)]

    def solve():
        found = linprog(objective, columns, np.zeros(n), total, [1.0], bounds, method="highs")
        assert found.status == 0

    return repeated(solve)


serve({"dense": dense, "sparse": sparse, "zero_sum": zero_sum})
