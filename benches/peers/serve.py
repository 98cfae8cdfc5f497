"""Serves measurements of a peer over standard input and output, one JSON object a line.

Request:  {"measure": NAME, "params": {...}, "min_seconds": S}
Answer:   {"seconds": T, "calls": N}   N calls took T seconds, or {"error": "one line"}

A measurement is built and warmed up at its first request, where the number of calls that lasts at least
min_seconds is found; every later request times that many calls. So the asker can alternate between ours and theirs.
"""

import json
import os
import sys
import time


def limit_threads(n):
    """Leaves libraries that are imported after this `n` threads."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n)
    cpus = sorted(os.sched_getaffinity(0))
    return set(cpus[:n]), set(cpus)


def serve(builders):
    """`builders[measure](params)` gives `run(n)`, which makes n calls and waits for their results."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # What libraries print goes to standard error.
    built = {}
    print(json.dumps({"ready": sorted(builders)}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = measure(builders, built, request)
        except Exception as error:  # The asker decides; this process stays.
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers)


def measure(builders, built, request):
    key = (request["measure"], json.dumps(request["params"], sort_keys=True))
    if key not in built:
        run = builders[request["measure"]](request["params"])
        run(1)
        built[key] = (run, calls_for(run, request["min_seconds"]))
    run, calls = built[key]
    return {"seconds": timed(run, calls), "calls": calls}


def calls_for(run, min_seconds):
    calls = 1
    while True:
        took = timed(run, calls)
        if took >= min_seconds:
            return calls
        calls = max(calls * 2, min(calls * 16, int(calls * min_seconds / max(took, 1e-9)) + 1))


def timed(run, calls):
    start = time.perf_counter()
    run(calls)
    return time.perf_counter() - start
