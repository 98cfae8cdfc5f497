"""Environments as PettingZoo knows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.utils import EzPickle

from coact import _coact
from coact._coact import CoactError
from coact.display import RENDER_FPS, RENDER_MODES, check_render_mode, show
from coact.options import any_seed, check_seed, count, prepare
from coact.spaces import action_space, observation_space, replaces, state_space

try:
    import pettingzoo
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "this form needs PettingZoo; install it with: pip install pettingzoo"
    ) from None

Observations = dict[str, Any]
Infos = dict[str, dict[str, Any]]


class ParallelEnv(pettingzoo.ParallelEnv[str, Any, Any], EzPickle):
    """An environment whose agents act at the same time.

    Agents are named `<group>_<index>`. Those whose process has ended leave `agents`; at the limit of steps the others
    are truncated. Observations are arrays of their own, which may be kept.

    Seeds: `reset(seed=s)` starts the first episode of `s`; each `reset()` after it the next one, different and
    reproducible. Without any seed, one is drawn from the system. Copy 0 of `batch_env(..., seed=s)` plays the same
    episodes, to the last bit.

    Where actions can be illegal, `infos[agent]` holds `action_mask`, an array of 0 and 1 for `action_space.sample(mask)`,
    and `illegal_action`, whether the last one was.

    Arguments:
        name: a name of `coact.list_envs()`, or of a family, for example `lbf/Foraging-8x8-2p-2f-v3`.
        render_mode: `rgb_array` (`render` returns pixels), `ansi` (text), `human` (prints text) or None.
        max_cycles: steps after which an episode is truncated; the environment's own limit if None. Episodes that end
            by themselves may be shorter.
        mask_in_obs: observations of agents with masks are dictionaries of `observation` and `action_mask`.
        illegal_actions: what follows an illegal action: `replace` takes the legal one with the lowest number in its
            place, which does nothing in the environments at hand (samplers of PettingZoo's tests know no masks);
            `error` raises `CoactError`.
        render_width: width of pictures in pixels.
        options: the environment's own options, for example `n_agents=3`.
    """

    def __init__(
        self,
        name: str,
        *,
        render_mode: str | None = None,
        max_cycles: int | None = None,
        mask_in_obs: bool = False,
        illegal_actions: str = "replace",
        render_width: int = 480,
        **options: Any,
    ) -> None:
        EzPickle.__init__(
            self,
            name,
            render_mode=render_mode,
            max_cycles=max_cycles,
            mask_in_obs=mask_in_obs,
            illegal_actions=illegal_actions,
            render_width=render_width,
            **options,
        )
        check_render_mode(render_mode)
        text, limit = prepare(name, options, max_cycles)
        self._one = _coact.One(
            name,
            text,
            limit,
            mask_in_obs=bool(mask_in_obs),
            replace_illegal=replaces(illegal_actions),
        )
        self._seeded = False
        self.render_mode = render_mode
        self._render_width = count("render_width", render_width, 4096)
        spec = self._one.spec()
        self.metadata = {
            "name": f"{name}_v{spec['version']}",
            "render_modes": list(RENDER_MODES),
            "render_fps": RENDER_FPS,
            "is_parallelizable": True,
        }
        self.possible_agents: list[str] = spec["agents"]
        self.agents: list[str] = []
        groups = [group for group in spec["groups"] for _ in range(group["n_agents"])]
        self.observation_spaces: dict[str, Space[Any]] = {
            agent: observation_space(group, mask_in_obs)
            for agent, group in zip(self.possible_agents, groups)
        }
        self.action_spaces: dict[str, Space[Any]] = {
            agent: action_space(group)
            for agent, group in zip(self.possible_agents, groups)
        }
        self.state_space: Box = state_space(spec)

    def observation_space(self, agent: str) -> Space[Any]:
        """What the agent may see."""
        return self.observation_spaces[self._known(agent)]

    def action_space(self, agent: str) -> Space[Any]:
        """What the agent may do."""
        return self.action_spaces[self._known(agent)]

    def _known(self, agent: str) -> str:
        if agent not in self.action_spaces:
            names = ", ".join(self.possible_agents)
            raise CoactError(f"there is no agent {agent!r}; agents: {names}")
        return agent

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Starts an episode. `options` is there for PettingZoo and ignored."""
        if seed is not None:
            seed = check_seed(seed)
        elif not self._seeded:
            seed = any_seed()
        self._seeded = True
        observations, infos = self._one.reset(seed)
        self.agents = [a for a in self.possible_agents if a in observations]
        return observations, infos

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos
    ]:
        """Steps once. `actions` holds one action for each of `agents`; those of agents that have ended are ignored."""
        if not isinstance(actions, dict):
            raise CoactError(
                f"actions are a dictionary by agent, not {type(actions).__name__}"
            )
        moment = self._one.step(actions)
        _, _, terminated, truncated, _ = moment
        self.agents = [a for a in self.agents if not (terminated[a] or truncated[a])]
        return moment

    def state(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The global state `[S]` for centralized training."""
        return self._one.state()

    def render(self) -> Any:
        """The moment, as `render_mode` says."""
        return show(self._one, self.render_mode, self._render_width)

    def close(self) -> None:
        """Nothing is held open."""

