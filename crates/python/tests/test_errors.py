"""Whatever is wrong raises `CoactError`, a `ValueError`, with one line that says what to do; and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import coact


def refused(work: Callable[[], Any], part: str) -> None:
    """`work` raises an error of one line that holds `part`."""
    with pytest.raises(coact.CoactError) as caught:
        work()
    text = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert part in text and "\n" not in text, text


@pytest.mark.parametrize("make", [coact.parallel_env, coact.gym_env, lambda *a, **k: coact.batch_env(a[0], 2, **k)])
@pytest.mark.parametrize(
    ("name", "options", "part"),
    [
        ("simple_spraed", {}, "did you mean `simple_spread`?"),
        ("", {}, "there is no environment ``"),
        (5, {}, "the name of an environment is text, not 5"),
        ("lbf/Foraging-what", {}, "Foraging-what"),
        ("overcooked/nowhere", {}, "nowhere"),
        ("simple_spread", {"n_agent": 3}, "no option `n_agent`; did you mean `n_agents`?"),
        ("simple_spread", {"max_cycle": 3}, "no option `max_cycle`; did you mean `max_cycles`?"),
        ("simple_spread", {"ilegal_actions": 3}, "did you mean `illegal_actions`?"),
        ("simple_spread", {"n_agents": "three"}, "option `n_agents`"),
        ("simple_spread", {"n_agents": 0}, "n_agents"),
        ("simple_spread", {"n_agents": -1}, "n_agents"),
        ("simple_spread", {"n_agents": 10**30}, "n_agents"),
        ("simple_spread", {"n_agents": 2.5}, "n_agents"),
        ("simple_spread", {"local_ratio": float("nan")}, "options must be plain data"),
        ("simple_spread", {"local_ratio": object()}, "options must be plain data"),
        ("simple_spread", {"max_cycles": 0}, "max_cycles is 0; use 1 to"),
        ("levers", {"max_cycles": "many"}, "max_cycles is 'many'; give a whole number"),
        ("allocation", {"file": "gone.csv"}, "allocation: cannot read gone.csv"),
        ("bargaining", {"file": "labtop"}, "did you mean `laptop`?"),
        ("bargaining", {"agents": "all"}, "option `agents`"),
        ("matrix", {"file": "no/such/file.csv"}, "no/such/file.csv"),
    ],
)
def test_making(make: Any, name: Any, options: dict[str, Any], part: str) -> None:
    refused(lambda: make(name, **options), part)


def test_arguments_of_forms() -> None:
    make = coact.parallel_env
    refused(lambda: make("simple", render_mode="gif"), "use None or one of human, rgb_array, ansi")
    refused(lambda: make("simple", rendermode="ansi"), "did you mean `render_mode`?")
    refused(lambda: make("simple", illegal_actions="crash"), "use 'replace' or 'error'")
    refused(lambda: make("simple", render_width=0), "render_width is 0")
    refused(lambda: make("simple", render_mode="rgb_array", render_width=8).render(), "call reset() first")
    env = make("simple", render_mode="rgb_array", render_width=8)
    env.reset()
    refused(env.render, "8 pixels wide")
    for seed in (-1, 2**64, "x", 1.5):
        refused(lambda seed=seed: env.reset(seed=seed), "seed is")
    refused(lambda: env.observation_space("agent_9"), "there is no agent 'agent_9'; agents: agent_0")


@pytest.mark.parametrize("num_envs", [0, -1, 2**24 + 1, 10**12, 10**30, "many", 1.5, None])
def test_copies(num_envs: Any) -> None:
    refused(lambda: coact.batch_env("simple", num_envs), "num_envs is")


@pytest.mark.parametrize("num_threads", [0, -3, 10**9, "all"])
def test_threads(num_threads: Any) -> None:
    refused(lambda: coact.batch_env("simple", 2, num_threads=num_threads), "num_threads is")


def test_more_memory_than_there_is() -> None:
    refused(
        lambda: coact.batch_env("rware/large-19ag-v2", 2**24, sensor_range=20),
        "are not there; use fewer",
    )


def test_parallel_steps() -> None:
    env = coact.parallel_env("simple_spread", n_agents=2)
    refused(lambda: env.step({"agent_0": 0, "agent_1": 0}), "call reset() first")
    refused(env.state, "call reset() first")
    env.reset(seed=1)
    state = env.state().tobytes()
    for actions, part in [
        ({}, "no action for agent_0; give one to each of env.agents"),
        ({"agent_0": 0}, "no action for agent_1"),
        ({"agent_0": 0, "agent_1": 0, "agent_2": 0}, "there is no agent `agent_2`; did you mean"),
        ({"agent_0": 0, "agent_1": 5}, "action 5 of agent_1 is not one of 5"),
        ({"agent_0": -1, "agent_1": 0}, "action -1 of agent_0 is not one of 5"),
        ({"agent_0": 2**70, "agent_1": 0}, "of agent_0 is not one of 5"),
        ({"agent_0": "up", "agent_1": 0}, "action `'up'` of agent_0"),
        ({"agent_0": None, "agent_1": 0}, "action `None` of agent_0"),
        ({"agent_0": 1.0, "agent_1": 0}, "action `1.0` of agent_0"),
        ({"agent_0": float("nan"), "agent_1": 0}, "action `nan` of agent_0"),
        ({"agent_0": np.zeros(3, int), "agent_1": 0}, "of agent_0"),
        ([0, 0], "actions are a dictionary by agent, not list"),
        (None, "actions are a dictionary by agent, not NoneType"),
    ]:
        refused(lambda actions=actions: env.step(actions), part)
        assert env.state().tobytes() == state, "a refused step changes nothing"
    env.step({"agent_0": np.int64(1), "agent_1": np.uint8(4)})
    assert env.state().tobytes() != state
    while env.agents:
        env.step(dict.fromkeys(env.agents, 0))
    refused(lambda: env.step({}), "the episode is over; call reset()")


def test_continuous_parallel_steps() -> None:
    env = coact.parallel_env("simple", continuous=True)
    env.reset(seed=1)
    for action, part in [
        (np.full(5, np.nan, np.float32), "action component NaN of agent_0 is outside 0..=1; clip it"),
        (np.full(5, np.inf), "is outside 0..=1"),
        (np.full(5, 1.5), "action component 1.5 of agent_0 is outside 0..=1; clip it"),
        (np.zeros(4, np.float32), "the action of agent_0 has 4 numbers; give 5"),
        (np.zeros((5, 1), np.float32), "of agent_0 is no vector; give 5 numbers"),
        ("abcde", "of agent_0 is no vector; give 5 numbers"),
        (3, "of agent_0 is no vector; give 5 numbers"),
    ]:
        refused(lambda action=action: env.step({"agent_0": action}), part)
    env.step({"agent_0": [0.0, 0.5, 1.0, 0.0, 0.0]})
    env.step({"agent_0": np.zeros(5)})


def test_batch_steps() -> None:
    envs = coact.batch_env("simple_tag", 4, seed=0)
    hunters, prey = np.zeros((4, 3), int), np.zeros((4, 1), int)
    refused(lambda: envs.step({"adversary": hunters, "agent": prey}), "call reset() first")
    step = envs.reset()
    state = step.state.tobytes()
    bad = hunters.copy()
    bad[3, 2] = 7
    ragged: Any = [[0, 0, 0], [0, 0]]
    for actions, part in [
        (hunters, "give a dictionary of arrays by group: adversary, agent"),
        ({"adversary": hunters}, "no actions for agent; groups: adversary, agent"),
        ({"adversary": hunters, "agent": prey, "lead": prey}, "there is no group lead"),
        ({"adversary": hunters[0], "agent": prey}, "have the shape [3]; expected [4, 3]: environments, agents"),
        ({"adversary": hunters.T, "agent": prey}, "have the shape [3, 4]; expected [4, 3]"),
        ({"adversary": hunters, "agent": prey[:2]}, "actions of `agent` have the shape [2, 1]"),
        ({"adversary": hunters.astype(float), "agent": prey}, "are float64; give whole numbers"),
        ({"adversary": hunters.astype(bool), "agent": prey}, "are bool; give whole numbers"),
        ({"adversary": hunters.astype(object), "agent": prey}, "are object; give whole numbers"),
        ({"adversary": hunters - 1, "agent": prey}, "action -1 of environment 0, adversary_0 is not one of 5"),
        ({"adversary": bad, "agent": prey}, "action 7 of environment 3, adversary_2 is not one of 5"),
        ({"adversary": bad.astype(np.uint64) << 40, "agent": prey}, "environment 3, adversary_2 is not one of 5"),
        ({"adversary": None, "agent": prey}, "have the shape []"),
        ({"adversary": ragged, "agent": prey}, "actions"),
    ]:
        refused(lambda actions=actions: envs.step(actions), part)
        assert step.state.tobytes() == state, "a refused step changes nothing"
    envs.step({"adversary": hunters, "agent": prey})
    refused(lambda: envs.step(np.zeros((4, 4), int)), "several groups")
    refused(lambda: step.obs, "there are several groups; name one of adversary, agent")
    for env in (4, -1, 10**30, "first"):
        refused(lambda env=env: envs.render(env), "this batch has 4, from 0")
    refused(lambda: envs.render(0, mode="gif"), "use 'rgb_array' or 'ansi'")
    refused(lambda: envs.reset(seed=-1), "seed is -1")


def test_continuous_batch_steps() -> None:
    envs = coact.batch_env("simple_spread", 3, seed=0, continuous=True)
    step = envs.reset()
    state = step.state.tobytes()
    for value, place in [(np.nan, "NaN"), (np.inf, "inf"), (-0.5, "-0.5"), (1.25, "1.25")]:
        actions = np.zeros((3, 3, 5), np.float32)
        actions[2, 1, 4] = value
        refused(
            lambda actions=actions: envs.step(actions),
            f"action component {place} of environment 2, agent_1 is outside 0..=1; clip it",
        )
    refused(lambda: envs.step(np.zeros((3, 3, 5), int)), "are int64; give float32 or float64")
    refused(lambda: envs.step(np.zeros((3, 3), np.float32)), "expected [3, 3, 5]: environments, agents, components")
    assert step.state.tobytes() == state
    envs.step(np.zeros((3, 3, 5)))


def test_illegal_actions_of_a_batch() -> None:
    envs = coact.batch_env("switch_riddle", 6, seed=0)
    step = envs.reset()
    mask = step.action_mask
    assert mask is not None
    legal = mask.argmax(axis=2)
    env, agent, action = (int(i) for i in np.argwhere(~mask)[-1])
    illegal = legal.copy()
    illegal[env, agent] = action
    before = step.obs.tobytes()
    refused(
        lambda: envs.step(illegal),
        f"action {action} of environment {env}, agent_{agent} is illegal now; choose by action_mask",
    )
    assert step.obs.tobytes() == before
    envs.step(legal)
