"""Gymnasium's checker on every environment of one agent, and the same numbers as CartPole's recorded ones."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from conftest import NAMES
from gymnasium.utils.env_checker import check_env

import coact
import coact.gymnasium_ids

# With these options, or by themselves, they have one agent.
OPTIONS: dict[str, dict[str, Any]] = {
    "cartpole": {"n_agents": 1},
    "predator_prey": {"n_predators": 1},
    "simple_spread": {"n_agents": 1},
}


def single() -> list[tuple[str, dict[str, Any]]]:
    """Every listed environment that has one agent."""
    found = []
    for name in NAMES:
        options = OPTIONS.get(name, {})
        if len(coact.parallel_env(name, **options).possible_agents) == 1:
            found.append((name, options))
    return found


SINGLE = single()


def test_all_are_found() -> None:
    assert {"cartpole", "simple", "simple_spread", "predator_prey"} <= {name for name, _ in SINGLE}
    assert sum(name.startswith("probe_") for name, _ in SINGLE) == 8


@pytest.mark.parametrize(("name", "options"), SINGLE, ids=[name for name, _ in SINGLE])
def test_checker(name: str, options: dict[str, Any]) -> None:
    env = coact.gym_env(name, render_mode="rgb_array", **options)
    with warnings.catch_warnings():
        # Bounds that are infinite, or not those of a unit box, are as the originals have them.
        warnings.filterwarnings("ignore", message=".*(infinity|symmetric and normalized).*")
        warnings.filterwarnings("ignore", message=".*(different from the unwrapped|spec).*")
        check_env(env)


@pytest.mark.parametrize("id", coact.gymnasium_ids.SINGLE)
def test_ids(id: str) -> None:
    env = gymnasium.make(id, render_mode="ansi")
    assert env.spec is not None and env.spec.id == id
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(infinity|different from the unwrapped).*")
        check_env(env.unwrapped)
    observation, info = env.reset(seed=1)
    assert observation in env.observation_space and info == {}
    assert isinstance(env.render(), str)


def test_many_of_gymnasium() -> None:
    envs = gymnasium.make_vec("coact/cartpole-v1", num_envs=3, vectorization_mode="sync")
    observations, _ = envs.reset(seed=[1, 2, 3])
    assert observations.shape == (3, 4)
    ours = coact.gym_env("cartpole", n_agents=1)
    np.testing.assert_array_equal(ours.reset(seed=2)[0], observations[1])


def test_seeds_over_500_steps() -> None:
    trails = []
    for seed in (5, 5, 6):
        env = coact.gym_env("cartpole", n_agents=1)
        rng = np.random.default_rng(0)
        trail = [env.reset(seed=seed)[0].tobytes()]
        for _ in range(500):
            observation, reward, terminated, truncated, _ = env.step(int(rng.integers(2)))
            trail.append(observation.tobytes() + bytes([terminated, truncated, int(reward)]))
            if terminated or truncated:
                trail.append(env.reset()[0].tobytes())
        trails.append(trail)
    assert trails[0] == trails[1]
    assert trails[0] != trails[2]


def test_a_limit_truncates_and_a_fall_terminates() -> None:
    env = coact.gym_env("cartpole", n_agents=1, max_cycles=5)
    env.reset(seed=0)
    assert [env.step(i % 2)[2:4] for i in range(5)] == [(False, False)] * 4 + [(False, True)]
    env = coact.gym_env("cartpole", n_agents=1)
    env.reset(seed=0)
    ends = [(False, False)]
    while ends[-1] == (False, False):
        ends.append(env.step(1)[2:4])
    assert ends[-1] == (True, False) and len(ends) < 15


def test_several_agents_are_refused() -> None:
    with pytest.raises(coact.CoactError, match="cartpole has 2 agents here; Gymnasium takes one"):
        coact.gym_env("cartpole")


def test_pickles() -> None:
    env = pickle.loads(pickle.dumps(coact.gym_env("cartpole", n_agents=1)))
    assert env.reset(seed=0)[0].shape == (4,)
