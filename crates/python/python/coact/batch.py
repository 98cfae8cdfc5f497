"""Thousands of copies of an environment, stepped together on NumPy arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from coact import _coact
from coact._coact import CoactError
from coact.options import any_seed, check_seed, count, prepare

Floats = np.ndarray[Any, np.dtype[np.float32]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Actions = np.ndarray[Any, np.dtype[Any]]

# The process in which the library was loaded; threads do not survive a fork.
_HOME = os.getpid()
_MOST_COPIES = 2**24


@dataclass(frozen=True)
class Group:
    """Agents with the same spaces."""

    name: str
    """Key of the group in `Step` and among actions."""
    agents: tuple[str, ...]
    """Names of its agents, as in the parallel form; agent a is row a of `[E, A, ..]`."""
    obs_fields: tuple[tuple[str, int, float, float], ...]
    """The observation in order: name, width, lowest and highest value."""
    n_actions: int | None
    """Number of discrete actions, or None."""
    action_box: tuple[int, float, float] | None
    """Number of components of a continuous action, their lowest and highest value, or None."""
    masked: bool
    """Whether actions can be illegal."""

    @property
    def obs_width(self) -> int:
        """Width `D` of an observation."""
        return sum(width for _, width, _, _ in self.obs_fields)


@dataclass(frozen=True)
class GroupStep:
    """Columns of one group after a step; a row an environment `E` and agent `A`."""

    obs: Floats
    """`[E, A, D]` to act on next; the first of the next episode where one ended."""
    final_obs: Floats
    """`[E, A, D]`, the last of the episode that ended in this step; other rows are older."""
    reward: Floats
    """`[E, A]` of this step."""
    terminated: Flags
    """`[E, A]`: the agent's process ended in this step, not by a limit."""
    alive: Flags
    """`[E, A]`: the agent acts on `obs`."""
    action_mask: Flags | None = None
    """`[E, A, N]`, what is legal on `obs`; None where all always is."""
    final_action_mask: Flags | None = None
    """`[E, A, N]`, what was legal on `final_obs`."""

    def copy(self) -> GroupStep:
        """The same numbers in arrays of their own."""
        columns: dict[str, Any] = {
            key: None if column is None else column.copy()
            for key, column in vars(self).items()
        }
        return GroupStep(**columns)


@dataclass(frozen=True)
class Step(Mapping[str, GroupStep]):
    """A moment of all copies: columns of each group by its name, and those that groups share.

    Where there is one group, its columns can be read without its name: `step.obs`.
    """

    groups: dict[str, GroupStep]
    """Columns by group."""
    truncated: Flags
    """`[E]`: the episode was cut off in this step, by a limit, with somebody still alive."""
    is_first: Flags
    """`[E]`: `obs` is the first of an episode; after a step the same as "an episode ended in this step"."""
    state: Floats
    """`[E, S]`, the global state that belongs to `obs`; no columns where there is none."""
    final_state: Floats
    """`[E, S]`, the last of the episode that ended in this step; other rows are older."""

    def __getitem__(self, group: str) -> GroupStep:
        return self.groups[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def _only(self) -> GroupStep:
        if len(self.groups) != 1:
            names = ", ".join(self.groups)
            raise CoactError(
                f"there are several groups; name one of {names}: step[name]"
            )
        return next(iter(self.groups.values()))

    @property
    def obs(self) -> Floats:
        """`obs` of the only group."""
        return self._only().obs

    @property
    def final_obs(self) -> Floats:
        """`final_obs` of the only group."""
        return self._only().final_obs

    @property
    def reward(self) -> Floats:
        """`reward` of the only group."""
        return self._only().reward

    @property
    def terminated(self) -> Flags:
        """`terminated` of the only group."""
        return self._only().terminated

    @property
    def alive(self) -> Flags:
        """`alive` of the only group."""
        return self._only().alive

    @property
    def action_mask(self) -> Flags | None:
        """`action_mask` of the only group."""
        return self._only().action_mask

    @property
    def final_action_mask(self) -> Flags | None:
        """`final_action_mask` of the only group."""
        return self._only().final_action_mask

    def copy(self) -> Step:
        """The same numbers in arrays of their own."""
        return Step(
            {name: group.copy() for name, group in self.groups.items()},
            self.truncated.copy(),
            self.is_first.copy(),
            self.state.copy(),
            self.final_state.copy(),
        )


class BatchEnv:
    """`num_envs` copies of one environment, stepped together.

    `reset` and `step` return a `Step`. Copies reset themselves: where an episode ended, `obs` is already the first
    observation of the next one, `is_first` is true, and the last of the old one is in `final_obs`. `terminated` says
    that a process ended, `truncated` that a limit cut it off; a learner bootstraps from `final_obs` where truncated.

    Without `copy`, arrays are views of the environment's own memory, read-only, and each step writes into the same
    ones: what `reset` returned is then the newest moment too. That is the default because a step of a large batch is
    many megabytes, and whoever keeps moments writes them to a buffer anyway. With `copy=True` every `Step` has arrays
    of its own. Do not read arrays while another thread steps.

    The interpreter lock is released while copies are stepped. Large batches use all cores; the numbers are the same at
    any number of threads.

    Arguments:
        name: a name of `coact.list_envs()`, or of a family, for example `lbf/Foraging-8x8-2p-2f-v3`.
        num_envs: copies, `E`.
        seed: where the first `reset` starts; drawn from the system if None.
        copy: whether each `Step` has arrays of its own.
        max_cycles: steps after which an episode is truncated; the environment's own limit if None.
        num_threads: threads of this batch; all of the machine's, shared with other batches, if None.
        options: the environment's own options, for example `n_agents=3`.
    """

    def __init__(
        self,
        name: str,
        num_envs: int,
        seed: int | None = None,
        *,
        copy: bool = False,
        max_cycles: int | None = None,
        num_threads: int | None = None,
        **options: Any,
    ) -> None:
        text, limit = prepare(name, options, max_cycles)
        self.num_envs = count("num_envs", num_envs, _MOST_COPIES)
        threads = (
            None if num_threads is None else count("num_threads", num_threads, 4096)
        )
        seed = any_seed() if seed is None else check_seed(seed)
        self._batch = _coact.Batch(
            name, text, self.num_envs, seed, _HOME, limit, threads
        )
        spec = self._batch.spec()
        names = iter(spec["agents"])
        self.name: str = name
        self.version: int = spec["version"]
        self.episode_limit: int | None = spec["episode_limit"]
        self.common_reward: bool = spec["common_reward"]
        self.state_width: int = spec["state_width"]
        self.groups: tuple[Group, ...] = tuple(
            Group(
                name=group["name"],
                agents=tuple(next(names) for _ in range(group["n_agents"])),
                obs_fields=tuple(group["obs"]),
                n_actions=group.get("n_actions"),
                action_box=group.get("action_box"),
                masked=group["masked"],
            )
            for group in spec["groups"]
        )
        self._copy = copy
        columns = self._batch.columns()
        groups = {
            group.name: GroupStep(**arrays)
            for group, arrays in zip(self.groups, columns.pop("groups"))
        }
        self._step = Step(groups=groups, **columns)

    def __repr__(self) -> str:
        return f"BatchEnv({self.name!r}, num_envs={self.num_envs})"

    def reset(self, seed: int | None = None) -> Step:
        """Starts an episode in every copy: from `seed`, or from what follows the last reset, which differs from it."""
        self._batch.reset(None if seed is None else check_seed(seed))
        return self._step.copy() if self._copy else self._step

    def step(self, actions: Actions | Mapping[str, Actions]) -> Step:
        """Steps every copy once.

        `actions` is an array for each group by its name, or the only group's: whole numbers `[E, A]`, or floats
        `[E, A, W]` where actions are continuous. A refused step changes nothing.
        """
        self._batch.step(self._in_order(actions))
        return self._step.copy() if self._copy else self._step

    def _in_order(self, actions: Any) -> list[Actions]:
        if isinstance(actions, Mapping):
            unknown = [
                str(key)
                for key in actions
                if key not in {group.name for group in self.groups}
            ]
            missing = [group.name for group in self.groups if group.name not in actions]
            if unknown or missing:
                names = ", ".join(group.name for group in self.groups)
                what = (
                    f"there is no group {unknown[0]}"
                    if unknown
                    else f"no actions for {missing[0]}"
                )
                raise CoactError(f"{what}; groups: {names}")
            given = [actions[group.name] for group in self.groups]
        elif len(self.groups) == 1:
            given = [actions]
        else:
            names = ", ".join(group.name for group in self.groups)
            raise CoactError(
                f"there are several groups; give a dictionary of arrays by group: {names}"
            )
        try:
            return [np.asarray(array) for array in given]
        except ValueError as error:
            raise CoactError(f"actions are no array: {error}") from None

    def sample_actions(self, rng: np.random.Generator) -> dict[str, Actions]:
        """Actions drawn uniformly from those that are legal now, by group."""
        drawn: dict[str, Actions] = {}
        for group in self.groups:
            shape = (self.num_envs, len(group.agents))
            mask = self._step[group.name].action_mask
            if mask is not None:
                drawn[group.name] = (rng.random(mask.shape, np.float32) + mask).argmax(
                    axis=2
                )
            elif group.n_actions is not None:
                drawn[group.name] = rng.integers(
                    group.n_actions, size=shape, dtype=np.int32
                )
            elif group.action_box is not None:
                width, low, high = group.action_box
                unit = rng.random((*shape, width), np.float32)
                drawn[group.name] = np.float32(low) + unit * np.float32(high - low)
        return drawn

    def render(
        self, env: int = 0, mode: str = "rgb_array", width: int = 480
    ) -> np.ndarray[Any, np.dtype[np.uint8]] | str:
        """Copy `env` as pixels `[H, W, 3]` (`rgb_array`) or as text (`ansi`)."""
        if mode not in ("rgb_array", "ansi"):
            raise CoactError(f"mode is {mode!r}; use 'rgb_array' or 'ansi'")
        if not isinstance(env, int) or not 0 <= env < self.num_envs:
            raise CoactError(
                f"there is no environment {env!r}; this batch has {self.num_envs}, from 0"
            )
        if mode == "ansi":
            return self._batch.render_text(env, 78, False)
        return self._batch.render_rgb(env, count("width", width, 4096))
