"""Equal seeds, equal runs, bit for bit over 500 steps and several resets; different seeds differ; batches play the same episodes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from conftest import SHORT

import coact
from coact import _coact
from coact.options import prepare

Variant = tuple[str, dict[str, Any]]
STEPS = 500
# Nothing in them is drawn.
CONSTANT = {
    "overcooked",
    "overcooked/coordination_ring",
    "allocation",
    "bargaining",
    "levers",
    "two_step",
    "iterated_prisoners_dilemma",
    "iterated_stag_hunt",
    "iterated_chicken",
    "iterated_matrix",
    "climbing",
    "penalty",
    "matrix",
    *(name for name in SHORT if name.startswith("probe_")),
    "probe_truncate_only",
}


def bits(value: Any) -> bytes:
    """A value to the last bit."""
    if isinstance(value, dict):
        return b"".join(key.encode() + bits(part) for key, part in value.items())
    if isinstance(value, tuple):
        return b"".join(map(bits, value))
    return np.asarray(value).tobytes()


def run(env: Any, seed: int) -> list[str]:
    """A digest a step: `STEPS` legal steps over as many episodes as it takes, with a reset in the middle of one."""
    rng = np.random.default_rng(9)
    digests = [hashlib.sha256(bits(env.reset(seed=seed))).hexdigest()]
    infos = env.reset(seed=seed)[1]
    for step in range(STEPS):
        if not env.agents or step % 97 == 96:
            moment = env.reset()
            infos = moment[1]
            digests.append(hashlib.sha256(bits(moment)).hexdigest())
        actions = {}
        for agent in env.agents:
            space = env.action_space(agent)
            space.seed(int(rng.integers(2**31)))
            mask = infos[agent].get("action_mask")
            actions[agent] = space.sample() if mask is None else space.sample(mask)
        moment = env.step(actions)
        infos = moment[4]
        digests.append(hashlib.sha256(bits((*moment, env.state()))).hexdigest())
    return digests


def test_equal_seeds_are_equal_runs(variant: Variant) -> None:
    name, options = variant
    first, second = (coact.parallel_env(name, **options) for _ in range(2))
    second.reset(seed=77)
    one = run(first, 42)
    assert one == run(second, 42)
    assert one == run(first, 42), "the same copy again"
    if name not in CONSTANT:
        assert one != run(second, 43)


def test_every_seed_of_64_bits_is_another(variant: Variant) -> None:
    name, options = variant
    if name in CONSTANT:
        pytest.skip("nothing in it is drawn")
    env = coact.parallel_env(name, **options)
    seeds = [0, 1, 2**31 - 1, 2**63, 2**64 - 1]
    firsts = set()
    for seed in seeds:
        trail = bits(env.reset(seed=seed))
        for _ in range(8):
            if env.agents:
                trail += bits(env.step({a: first_legal(env, a) for a in env.agents}))
        firsts.add(trail)
    # Where there are few moments to begin with some coincide, but not all.
    few = name in ("switch_riddle", "simple_crypto")
    assert len(firsts) > 1 if few else len(firsts) == len(seeds)


def first_legal(env: Any, agent: str) -> Any:
    space = env.action_space(agent)
    return 0 if hasattr(space, "n") else np.full(space.shape, 0.5, np.float32)


def test_resets_without_a_seed_go_on(variant: Variant) -> None:
    name, options = variant
    env = coact.parallel_env(name, **options)
    trails: list[list[bytes]] = [[], []]
    for trail in trails:
        env.reset(seed=4)
        for _ in range(20):
            moments = bits(env.reset())
            for _ in range(10):
                if env.agents:
                    moments += bits(env.step({a: first_legal(env, a) for a in env.agents}))
            trail.append(moments)
    assert trails[0] == trails[1]
    if name not in CONSTANT:
        assert len(set(trails[0])) > 1


def test_batch_plays_the_episodes_of_the_parallel_form(variant: Variant) -> None:
    """Every copy of a batch against one copy with its index, over 500 legal steps and all resets on the way."""
    name, options = variant
    text, _ = prepare(name, options, None)
    num_envs, seed = 3, 2**40 + 1
    envs = coact.batch_env(name, num_envs, seed, **options)
    ones = [_coact.One(name, text, None, index=e, replace_illegal=False) for e in range(num_envs)]
    step = envs.reset()
    rng = np.random.default_rng(1)
    agents = [(group.name, a, agent) for group in envs.groups for a, agent in enumerate(group.agents)]
    episodes = 0
    for e, one in enumerate(ones):
        compare(step, e, one.reset(seed)[0], agents, "obs")
    for _ in range(STEPS):
        actions = envs.sample_actions(rng)
        alive = {group: step[group].alive.copy() for group in step}
        step = envs.step(actions)
        for e, one in enumerate(ones):
            given = {agent: actions[g][e, a] for g, a, agent in agents if alive[g][e, a]}
            obs, rewards, terminated, truncated, infos = one.step(given)
            assert set(obs) == set(given)
            for g, a, agent in agents:
                if agent in given:
                    assert np.float32(rewards[agent]) == step[g].reward[e, a]
                    assert terminated[agent] == step[g].terminated[e, a]
            assert any(truncated.values()) == step.truncated[e]
            ended = step.is_first[e]
            compare(step, e, obs, agents, "final_obs" if ended else "obs")
            compare_masks(step, e, infos, agents, "final_action_mask" if ended else "action_mask")
            if envs.state_width:
                state = step.final_state if ended else step.state
                np.testing.assert_array_equal(one.state(), state[e])
            if ended:
                episodes += 1
                compare(step, e, one.reset()[0], agents, "obs")
    assert episodes > 0


def compare(step: coact.Step, e: int, obs: dict[str, Any], agents: list[Any], column: str) -> None:
    for g, a, agent in agents:
        if agent in obs:
            assert obs[agent].tobytes() == getattr(step[g], column)[e, a].tobytes(), agent


def compare_masks(step: coact.Step, e: int, infos: Any, agents: list[Any], column: str) -> None:
    for g, a, agent in agents:
        mask = getattr(step[g], column)
        if mask is not None and agent in infos:
            np.testing.assert_array_equal(infos[agent]["action_mask"], mask[e, a])


@pytest.mark.parametrize("name", ["simple_spread", "overcooked", "switch_riddle"])
def test_threads_do_not_show(name: str) -> None:
    trails = []
    for threads in (1, 2, None):
        envs = coact.batch_env(name, 3000, 5, num_threads=threads)
        rng = np.random.default_rng(2)
        envs.reset()
        digest = hashlib.sha256()
        for _ in range(12):
            step = envs.step(envs.sample_actions(rng))
            for group in step.values():
                digest.update(group.obs.tobytes() + group.reward.tobytes())
        trails.append(digest.hexdigest())
    assert len(set(trails)) == 1


def test_resets_of_a_batch() -> None:
    envs = coact.batch_env("simple_spread", 4, seed=3)
    first = envs.reset().obs.tobytes()
    second = envs.reset().obs.tobytes()
    assert first != second
    assert envs.reset(seed=3).obs.tobytes() == first
    assert envs.reset().obs.tobytes() == second
    assert coact.batch_env("simple_spread", 4).reset().obs.tobytes() != first


def test_without_a_seed_nothing_repeats() -> None:
    for make in (
        lambda: coact.parallel_env("simple").reset()[0]["agent_0"],
        lambda: coact.gym_env("simple").reset()[0],
        lambda: coact.batch_env("simple", 1).reset().obs,
    ):
        assert make().tobytes() != make().tobytes()
