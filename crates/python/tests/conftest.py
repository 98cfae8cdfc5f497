"""Environments that every test runs on: all that are listed, members of families, and forms that options give."""

from __future__ import annotations

from typing import Any

import pytest

import coact

NAMES = [entry.name for entry in coact.list_envs()]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("cartpole", {"n_agents": 1}),
    ("simple_spread", {"continuous": True, "n_agents": 2}),
    ("simple_world_comm", {"continuous": True}),
    ("lbf/Foraging-grid-2s-10x10-4p-3f-ind-v3", {}),
    ("lbf/Foraging-8x8-2p-2f-v3", {"mask_actions": True, "max_steps": 20}),
    ("rware/small-3ag-hard-v2", {"msg_bits": 1}),
    ("overcooked/coordination_ring", {"shaping": 0.5}),
    ("switch_riddle", {"n_agents": 4}),
    ("traffic_junction", {"difficulty": "medium"}),
    ("allocation", {"goal": "makespan"}),
    ("bargaining", {"agents": ["learn", "conceder"], "rounds": 12}),
]
IDS = [
    name + "".join(f"-{key}={value}" for key, value in options.items())
    for name, options in VARIANTS
]
# Games in which random play may be over after less than four steps, whatever the limit.
SHORT = {
    "switch_riddle",
    "levers",
    "two_step",
    "bargaining",
    *(name for name in NAMES if name.startswith("probe_")),
} - {"probe_truncate_only"}


@pytest.fixture(params=VARIANTS, ids=IDS)
def variant(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """A name and options."""
    return request.param
