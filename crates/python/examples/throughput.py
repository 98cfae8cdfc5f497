"""Plays at random in batches of growing size and prints how many environment steps a second Python gets."""

from __future__ import annotations

import argparse
import time

import numpy as np

import coact

NAMES = (
    "simple_spread",
    "lbf/Foraging-8x8-2p-2f-v3",
    "rware/tiny-2ag-v2",
    "overcooked",
    "cartpole",
)


def measure(name: str, num_envs: int, seconds: float) -> float:
    """Environment steps a second of `num_envs` copies, with actions that were drawn beforehand."""
    envs = coact.batch_env(name, num_envs, seed=0)
    rng = np.random.default_rng(0)
    envs.reset()
    actions = [envs.sample_actions(rng) for _ in range(8)]
    envs.step(actions[0])
    steps, start = 0, time.perf_counter()
    while (took := time.perf_counter() - start) < seconds:
        for drawn in actions:
            envs.step(drawn)
        steps += len(actions)
    return steps * num_envs / took


def main() -> None:
    """Prints one line an environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each figure")
    parser.add_argument(
        "--num-envs", type=int, nargs="+", default=[1, 64, 4096], help="batch sizes"
    )
    arguments = parser.parse_args()
    sizes = "".join(f"{n:>12,}" for n in arguments.num_envs)
    print(f"environment steps a second, random actions, copies:\n{'':<28}{sizes}")
    for name in NAMES:
        speeds = (measure(name, n, arguments.seconds) for n in arguments.num_envs)
        print(f"{name:<28}" + "".join(f"{speed:>12,.0f}" for speed in speeds))


if __name__ == "__main__":
    main()
