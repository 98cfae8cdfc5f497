"""Environments of one agent as Gymnasium knows them."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.utils import EzPickle

from coact import _coact
from coact._coact import CoactError
from coact.display import RENDER_FPS, RENDER_MODES, check_render_mode, show
from coact.options import check_seed, count, prepare
from coact.spaces import action_space, observation_space, replaces


class SingleAgentEnv(gymnasium.Env[Any, Any], EzPickle):
    """An environment with one agent, for example `SingleAgentEnv("cartpole", n_agents=1)`.

    Arguments are those of `coact.parallel.ParallelEnv`, and so are seeds: `reset(seed=s)` starts the first episode of
    `s`, each `reset()` after it the next one. Where actions can be illegal, `info` holds `action_mask` and `illegal_action`.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}

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
        spec = self._one.spec()
        if len(spec["agents"]) != 1:
            raise CoactError(
                f"{name} has {len(spec['agents'])} agents here; Gymnasium takes one: use parallel_env, or an option "
                "such as n_agents=1 where the environment has it"
            )
        (self._agent,) = spec["agents"]
        (group,) = spec["groups"]
        self._seeded = False
        self.render_mode = render_mode
        self._render_width = count("render_width", render_width, 4096)
        self.observation_space = observation_space(group, mask_in_obs)
        self.action_space = action_space(group)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode. `options` is there for Gymnasium and ignored."""
        super().reset(seed=seed)
        if seed is not None:
            seed = check_seed(seed)
        elif not self._seeded:
            seed = int(self.np_random.integers(2**63))
        self._seeded = True
        observations, infos = self._one.reset(seed)
        return observations[self._agent], infos[self._agent]

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Steps once."""
        agent = self._agent
        observations, rewards, terminated, truncated, infos = self._one.step(
            {agent: action}
        )
        return (
            observations[agent],
            rewards[agent],
            terminated[agent],
            truncated[agent],
            infos[agent],
        )

    def render(self) -> Any:
        """The moment, as `render_mode` says."""
        return show(self._one, self.render_mode, self._render_width)

    def close(self) -> None:
        """Nothing is held open."""
