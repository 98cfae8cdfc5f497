"""PettingZoo's own tests on every environment, and what they leave out."""

from __future__ import annotations

import functools
import pickle
import types
import warnings
from typing import Any

import numpy as np
import pettingzoo
import pettingzoo.test
import pytest
from conftest import SHORT
from gymnasium import spaces

import coact

Variant = tuple[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def chosen_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on the seeds of the moment."""
    monkeypatch.setattr("coact.parallel.any_seed", lambda: 5)
    counter = iter(range(10**6))
    draw = spaces.Space.__init__

    def seeded(self: Any, shape: Any = None, dtype: Any = None, seed: Any = None) -> None:
        draw(self, shape, dtype, next(counter) if seed is None else seed)

    monkeypatch.setattr(spaces.Space, "__init__", seeded)


def make(variant: Variant) -> functools.partial[coact.parallel.ParallelEnv]:
    name, options = variant
    return functools.partial(coact.parallel_env, name, **options)


def make_aec(variant: Variant) -> functools.partial[Any]:
    name, options = variant
    return functools.partial(coact.env, name, **options)


def test_parallel_api(variant: Variant) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pettingzoo.test.parallel_api_test(make(variant)(), num_cycles=600)
        pettingzoo.test.parallel_api_test(make(variant)(mask_in_obs=True), num_cycles=100)


def test_parallel_seed(variant: Variant) -> None:
    pettingzoo.test.parallel_seed_test(make(variant), num_cycles=500)
    pettingzoo.test.seed_test(make_aec(variant), num_cycles=50)


def test_render(variant: Variant, capsys: pytest.CaptureFixture[str]) -> None:
    aec = make_aec(variant)
    assert aec().metadata["render_modes"] == ["human", "rgb_array", "ansi"]
    assert aec().metadata["render_fps"] > 0
    printed = {"human": lambda result: result is None}
    pettingzoo.test.render_test(aec, custom_tests=printed)
    assert "\x1b[" in capsys.readouterr().out


def test_max_cycles(variant: Variant) -> None:
    module = types.SimpleNamespace(parallel_env=make(variant), env=make_aec(variant))
    if "max_steps" in variant[1]:
        module.parallel_env.keywords.pop("max_steps")
        module.env.keywords.pop("max_steps")
    if variant[0] not in SHORT:
        pettingzoo.test.max_cycles_test(module)
        return
    # Their rules end these games; a limit only cuts them shorter.
    env = module.parallel_env(max_cycles=4)
    for _ in range(20):
        env.reset()
        steps = 0
        while env.agents:
            actions = {agent: env.action_space(agent).sample() for agent in env.agents}
            _, _, terminations, truncations, _ = env.step(actions)
            steps += 1
        assert steps < 4 and any(terminations.values()) or steps == 4


def test_state_and_aec_api(variant: Variant) -> None:
    pettingzoo.test.state_test(make_aec(variant)(), make(variant)(), num_cycles=30)
    pettingzoo.test.api_test(make_aec(variant)(), num_cycles=20)


def test_spaces_hold_what_is_seen(variant: Variant) -> None:
    env = make(variant)()
    for seed in range(3):
        observations, _ = env.reset(seed=seed)
        for _ in range(60):
            for agent, observation in observations.items():
                assert observation in env.observation_space(agent), agent
            assert env.state() in env.state_space
            if not env.agents:
                break
            actions = {agent: env.action_space(agent).sample() for agent in env.agents}
            observations, *_ = env.step(actions)


def test_returned_data_may_be_kept(variant: Variant) -> None:
    env = make(variant)()
    moments = [env.reset(seed=1)[0]]
    kept = [{agent: row.copy() for agent, row in moments[0].items()}]
    while env.agents and len(moments) < 10:
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        moments.append(env.step(actions)[0])
        kept.append({agent: row.copy() for agent, row in moments[-1].items()})
    for moment, copy in zip(moments, kept):
        for agent, row in moment.items():
            np.testing.assert_array_equal(row, copy[agent])


@pytest.mark.parametrize(
    ("name", "agents"),
    [
        ("simple", ["agent_0"]),
        ("simple_adversary", ["adversary_0", "agent_0", "agent_1"]),
        ("simple_crypto", ["eve_0", "bob_0", "alice_0"]),
        ("simple_push", ["adversary_0", "agent_0"]),
        ("simple_reference", ["agent_0", "agent_1"]),
        ("simple_speaker_listener", ["speaker_0", "listener_0"]),
        ("simple_spread", ["agent_0", "agent_1", "agent_2"]),
        ("simple_tag", ["adversary_0", "adversary_1", "adversary_2", "agent_0"]),
        (
            "simple_world_comm",
            ["leadadversary_0", "adversary_0", "adversary_1", "adversary_2", "agent_0", "agent_1"],
        ),
    ],
)
def test_names_of_agents_are_those_of_mpe2(name: str, agents: list[str]) -> None:
    env = coact.parallel_env(name)
    assert env.possible_agents == agents
    assert isinstance(env, pettingzoo.ParallelEnv)


def test_spaces_are_those_of_mpe2() -> None:
    env = coact.parallel_env("simple_speaker_listener")
    assert env.action_space("speaker_0") == spaces.Discrete(3)
    assert env.action_space("listener_0") == spaces.Discrete(5)
    assert env.observation_space("listener_0").shape == (11,)
    continuous = coact.parallel_env("simple_world_comm", continuous=True)
    box = continuous.action_space("leadadversary_0")
    assert isinstance(box, spaces.Box) and box.shape == (9,) and box.dtype == np.float32
    assert box.low.tolist() == [0.0] * 9 and box.high.tolist() == [1.0] * 9


def test_an_agent_that_ended_leaves_and_the_limit_truncates_the_others() -> None:
    """Coupled poles fall one by one; who is left at the limit is truncated, who fell terminated."""
    env = coact.parallel_env("cartpole", n_agents=4, max_cycles=30)
    seen_partial = seen_cut = False
    for seed in range(20):
        env.reset(seed=seed)
        rng = np.random.default_rng(seed)
        steps = 0
        while before := list(env.agents):
            actions = {agent: int(rng.integers(2)) for agent in before}
            observations, rewards, terminations, truncations, infos = env.step(actions)
            steps += 1
            for part in (observations, rewards, terminations, truncations, infos):
                assert list(part) == before
            gone = [agent for agent in before if agent not in env.agents]
            assert gone == [a for a in before if terminations[a] or truncations[a]]
            assert not any(terminations[a] and truncations[a] for a in before)
            seen_partial |= 0 < len(env.agents) < 4
            if any(truncations.values()):
                seen_cut = True
                assert steps == 30 and env.agents == []
    assert seen_partial and seen_cut


def test_limit_and_options_of_the_same_name() -> None:
    env = coact.parallel_env("simple_spread", max_cycles=100)
    env.reset(seed=0)
    steps = 0
    while env.agents:
        env.step(dict.fromkeys(env.agents, 0))
        steps += 1
    assert steps == 100
    with pytest.raises(coact.CoactError, match="max_steps are the same thing"):
        coact.parallel_env("overcooked", max_cycles=5, max_steps=6)


def test_masks() -> None:
    env = coact.parallel_env("switch_riddle", n_agents=3)
    _, infos = env.reset(seed=3)
    masks = {agent: infos[agent]["action_mask"] for agent in env.agents}
    assert all(mask.dtype == np.int8 for mask in masks.values())
    excluded = next(a for a, mask in masks.items() if not mask.all())
    illegal = int(np.flatnonzero(masks[excluded] == 0)[0])
    legal = {a: int(np.flatnonzero(mask)[0]) for a, mask in masks.items()}
    _, _, _, _, infos = env.step({**legal, excluded: illegal})
    assert {a: info["illegal_action"] for a, info in infos.items()} == {
        a: a == excluded for a in masks
    }
    replaced = env.state()
    env.reset(seed=3)
    env.step(legal)
    np.testing.assert_array_equal(env.state(), replaced)

    strict = coact.parallel_env("switch_riddle", n_agents=3, illegal_actions="error")
    strict.reset(seed=3)
    with pytest.raises(coact.CoactError, match=f"{excluded} is illegal now; choose by action_mask"):
        strict.step({**legal, excluded: illegal})
    strict.step(legal)

    both = coact.parallel_env("switch_riddle", n_agents=3, mask_in_obs=True)
    observations, _ = both.reset(seed=3)
    for agent, mask in masks.items():
        assert observations[agent] in both.observation_space(agent)
        np.testing.assert_array_equal(observations[agent]["action_mask"], mask)


def test_pickles_as_it_was_made() -> None:
    env = pickle.loads(pickle.dumps(coact.parallel_env("simple_spread", n_agents=2, max_cycles=7)))
    assert env.possible_agents == ["agent_0", "agent_1"]


def test_pictures_differ_from_moment_to_moment() -> None:
    env = coact.parallel_env("simple_spread", render_mode="rgb_array", render_width=200)
    env.reset(seed=0)
    first = env.render()
    env.step(dict.fromkeys(env.agents, 1))
    second = env.render()
    assert first.shape == second.shape and first.shape[1:] == (200, 3)
    assert (first != second).any() and len(np.unique(first.reshape(-1, 3), axis=0)) > 3
    text = coact.parallel_env("overcooked", render_mode="ansi")
    text.reset(seed=0)
    assert text.render().count("\n") > 5 and "\x1b" not in text.render()
