"""The batched form: views, resets, masks, threads, forks."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import Any

import numpy as np
import pytest

import coact

Variant = tuple[str, dict[str, Any]]


def columns(step: coact.Step) -> dict[str, np.ndarray[Any, Any]]:
    """Every array of a step."""
    found = {name: getattr(step, name) for name in ("truncated", "is_first", "state", "final_state")}
    for group, part in step.items():
        found |= {f"{group}.{key}": array for key, array in vars(part).items() if array is not None}
    return found


def test_shapes_and_types(variant: Variant) -> None:
    name, options = variant
    envs = coact.batch_env(name, 5, seed=1, **options)
    step = envs.reset()
    assert list(step) == [group.name for group in envs.groups]
    assert step.is_first.all() and not step.truncated.any()
    assert step.state.shape == step.final_state.shape == (5, envs.state_width)
    for group in envs.groups:
        part, rows = step[group.name], (5, len(group.agents))
        assert part.obs.shape == part.final_obs.shape == (*rows, group.obs_width)
        assert part.reward.shape == part.terminated.shape == part.alive.shape == rows
        assert part.obs.dtype == part.reward.dtype == np.float32
        assert part.alive.dtype == part.terminated.dtype == np.bool_
        assert part.alive.all() and not part.reward.any()
        assert (group.n_actions is None) != (group.action_box is None)
        if group.masked:
            assert part.action_mask is not None and part.final_action_mask is not None
            assert part.action_mask.shape == part.final_action_mask.shape == (*rows, group.n_actions)
            assert part.action_mask.any(axis=2).all()
        else:
            assert part.action_mask is None and part.final_action_mask is None
    rng = np.random.default_rng(0)
    for _ in range(60):
        step = envs.step(envs.sample_actions(rng))
        for group in envs.groups:
            low = np.concatenate([np.full(w, low) for _, w, low, _ in group.obs_fields])
            high = np.concatenate([np.full(w, high) for _, w, _, high in group.obs_fields])
            obs = step[group.name].obs
            assert (obs >= low).all() and (obs <= high).all()


def test_arrays_are_views_of_one_memory(variant: Variant) -> None:
    name, options = variant
    envs = coact.batch_env(name, 40, seed=1, **options)
    first = envs.reset()
    before = {key: array.__array_interface__["data"] for key, array in columns(first).items()}
    kept = first.copy()
    rng = np.random.default_rng(0)
    for _ in range(30):
        step = envs.step(envs.sample_actions(rng))
        assert step is first
    now = columns(step)
    for key, array in now.items():
        assert array.__array_interface__["data"] == before[key], "read-only, where it was"
        assert not array.flags.owndata and not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    changed = [key for key, array in columns(kept).items() if array.tobytes() != now[key].tobytes()]
    assert changed, "what was copied stays, what was lent moves on"


def test_views_outlive_the_environment() -> None:
    envs = coact.batch_env("simple_spread", 2000, seed=1)
    obs = envs.reset().obs
    expected = obs.copy()
    del envs
    others = [coact.batch_env("simple_spread", 2000, seed=s).reset().obs for s in range(2, 7)]
    np.testing.assert_array_equal(obs, expected)
    assert all((other != obs).any() for other in others)


def test_copies_are_arrays_of_their_own() -> None:
    envs = coact.batch_env("switch_riddle", 8, seed=1, copy=True)
    rng = np.random.default_rng(0)
    steps = [envs.reset()]
    kept = [steps[0].copy()]
    for _ in range(10):
        steps.append(envs.step(envs.sample_actions(rng)))
        kept.append(steps[-1].copy())
    for step, copy in zip(steps, kept):
        for key, array in columns(step).items():
            assert array.flags.owndata and array.flags.writeable
            assert array.tobytes() == columns(copy)[key].tobytes()


def test_ends() -> None:
    """A limit truncates, and the last observation of the old episode is kept beside the first of the new one."""
    envs = coact.batch_env("simple_spread", 16, seed=2, max_cycles=6)
    other = coact.batch_env("simple_spread", 16, seed=2)
    assert envs.episode_limit == 6 and other.episode_limit == 25
    rng = np.random.default_rng(0)
    envs.reset()
    other.reset()
    for t in range(1, 13):
        actions = envs.sample_actions(rng)
        step = envs.step(actions)
        ended = t % 6 == 0
        assert step.is_first.all() == ended and step.truncated.all() == ended
        assert not step.terminated.any()
        if t <= 6:
            through = other.step(actions)
            last = step.final_obs if ended else step.obs
            np.testing.assert_array_equal(last, through.obs)
            np.testing.assert_array_equal(step.final_state if ended else step.state, through.state)
        if ended:
            assert (step.obs != step.final_obs).any(axis=2).all()


def test_falls_terminate() -> None:
    envs = coact.batch_env("cartpole", 64, seed=0, n_agents=1)
    envs.reset()
    seen = 0
    for _ in range(15):
        step = envs.step(np.ones((64, 1), np.int64))
        np.testing.assert_array_equal(step.terminated[:, 0], step.is_first)
        assert not step.truncated.any() and step.alive.all()
        fallen = step.final_obs[step.is_first]
        assert (np.abs(fallen[:, 0, 2]) > 0.2).all()
        seen += len(fallen)
    assert seen >= 64


@pytest.mark.parametrize("kind", ["i8", "i4", "u4", "u1", "i1", "u2", "i2", "u8", ">i8"])
def test_any_whole_type_and_layout(kind: str) -> None:
    envs = coact.batch_env("simple_tag", 12, seed=3)
    rng = np.random.default_rng(0)
    envs.reset()
    actions = envs.sample_actions(rng)
    expected = envs.step(actions).copy()
    envs.reset(seed=3)
    if kind == ">i8":
        # Bytes in the other order are not numbers of this machine; NumPy turns them around.
        cast = {group: array.astype(kind).astype("i8") for group, array in actions.items()}
    else:
        cast = {group: np.asfortranarray(array.astype(kind)) for group, array in actions.items()}
    got = envs.step(cast)
    for key, array in columns(expected).items():
        np.testing.assert_array_equal(columns(got)[key], array)
    envs.reset(seed=3)
    got = envs.step({group: array.tolist() for group, array in actions.items()})
    np.testing.assert_array_equal(got["agent"].obs, expected["agent"].obs)


def test_continuous_actions() -> None:
    envs = coact.batch_env("simple_spread", 7, seed=3, continuous=True, n_agents=2)
    rng = np.random.default_rng(0)
    envs.reset()
    actions = envs.sample_actions(rng)["agent"]
    assert actions.shape == (7, 2, 5) and actions.dtype == np.float32
    expected = envs.step(actions).obs.copy()
    envs.reset(seed=3)
    np.testing.assert_array_equal(envs.step(actions.astype(np.float64)).obs, expected)


def test_other_threads_go_on_while_a_step_runs() -> None:
    """A thread that counts gets on during steps, which it could not if they held the interpreter's lock."""
    envs = coact.batch_env("overcooked", 80_000, seed=0, num_threads=1)
    envs.reset()
    actions = envs.sample_actions(np.random.default_rng(0))
    stop = threading.Event()
    counts: list[float] = []

    def count() -> None:
        while not stop.is_set():
            counts.append(time.perf_counter())
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        longest, inside = 0.0, 0
        for _ in range(5):
            start = time.perf_counter()
            envs._batch.step([actions["cook"]])
            end = time.perf_counter()
            longest = max(longest, end - start)
            inside += sum(start < moment < end for moment in counts)
    finally:
        stop.set()
        thread.join()
    assert longest > 0.02, "a step that is over at once shows nothing"
    assert inside >= 10


def test_a_second_thread_is_told_to_wait() -> None:
    envs = coact.batch_env("overcooked", 20_000, seed=0)
    envs.reset()
    actions = envs.sample_actions(np.random.default_rng(0))
    said: list[str] = []
    at_once = threading.Barrier(4)

    def work() -> None:
        at_once.wait()
        for _ in range(3):
            try:
                envs.step(actions)
            except coact.CoactError as error:
                said.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said and all("another thread is stepping this environment" in text for text in said)
    envs.step(actions)


def in_child(envs: coact.BatchEnv, actions: Any, out: Any) -> None:
    mine = coact.batch_env("simple_spread", 20_000, seed=4)
    mine.reset()
    out.put((envs.step(actions).obs.sum(), mine.step(actions).obs.sum()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_steps_on() -> None:
    """Threads do not survive a fork; a pool that waited for them would wait forever."""
    envs = coact.batch_env("simple_spread", 20_000, seed=4)
    envs.reset()
    actions = envs.sample_actions(np.random.default_rng(0))
    envs.step(actions)
    envs.reset(seed=4)
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    child = context.Process(target=in_child, args=(envs, actions, out))
    child.start()
    try:
        theirs = out.get(timeout=60)
    finally:
        child.kill()
        child.join()
    ours = envs.step(actions).obs.sum()
    assert theirs == (ours, ours)


def test_sampled_actions_are_legal_and_all_of_them() -> None:
    envs = coact.batch_env("traffic_junction", 64, seed=0)
    rng = np.random.default_rng(0)
    step = envs.reset()
    seen = set()
    for _ in range(30):
        mask = step.action_mask
        assert mask is not None
        drawn = envs.sample_actions(rng)["car"]
        assert np.take_along_axis(mask, drawn[..., None], axis=2).all()
        seen |= set(drawn.ravel().tolist())
        step = envs.step(drawn)
    assert seen == {0, 1}


def test_pictures_of_a_copy() -> None:
    envs = coact.batch_env("simple_tag", 3, seed=0)
    envs.reset()
    pictures = [envs.render(e, width=120) for e in range(3)]
    assert all(isinstance(p, np.ndarray) and p.shape[1:] == (120, 3) for p in pictures)
    assert (np.asarray(pictures[0]) != np.asarray(pictures[1])).any()
    text = envs.render(1, mode="ansi")
    assert isinstance(text, str) and text.count("\n") > 10
