"""Ids of environments of one agent for `gymnasium.make`: importing this module registers `coact/cartpole-v1` and the others."""

from __future__ import annotations

from gymnasium.envs.registration import register

SINGLE: dict[str, dict[str, int]] = {
    "coact/cartpole-v1": {"n_agents": 1},
    "coact/simple-v1": {},
}
"""Each id, and the options that leave one agent."""

for _id, _options in SINGLE.items():
    _name = _id.removeprefix("coact/").rsplit("-v", 1)[0]
    register(
        id=_id,
        entry_point="coact.single:SingleAgentEnv",
        kwargs={"name": _name, **_options},
    )
