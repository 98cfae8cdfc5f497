"""Spaces of Gymnasium for what an environment promises."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from coact._coact import CoactError


def observation_box(group: dict[str, Any]) -> spaces.Box:
    """A box of the named fields."""
    fields = group["obs"]
    low = [low for _, width, low, _ in fields for _ in range(width)]
    high = [high for _, width, _, high in fields for _ in range(width)]
    return spaces.Box(
        np.array(low, np.float32), np.array(high, np.float32), dtype=np.float32
    )


def observation_space(group: dict[str, Any], mask_in_obs: bool) -> spaces.Space[Any]:
    """The box of an observation; with `mask_in_obs`, beside the mask in a dictionary."""
    box = observation_box(group)
    if not (mask_in_obs and group["masked"]):
        return box
    mask = spaces.MultiBinary(group["n_actions"])
    return spaces.Dict({"observation": box, "action_mask": mask})


def action_space(group: dict[str, Any]) -> spaces.Space[Any]:
    """`Discrete`, or a box."""
    if "n_actions" in group:
        return spaces.Discrete(group["n_actions"])
    width, low, high = group["action_box"]
    return spaces.Box(low, high, (width,), dtype=np.float32)


def state_space(spec: dict[str, Any]) -> spaces.Box:
    """The global state; observations of all agents one after the other where there is none."""
    if spec["state_width"] > 0:
        return spaces.Box(-np.inf, np.inf, (spec["state_width"],), dtype=np.float32)
    boxes = [
        observation_box(group)
        for group in spec["groups"]
        for _ in range(group["n_agents"])
    ]
    low = np.concatenate([box.low for box in boxes])
    high = np.concatenate([box.high for box in boxes])
    return spaces.Box(low, high, dtype=np.float32)


def replaces(illegal_actions: str) -> bool:
    """Whether illegal actions are replaced."""
    if illegal_actions not in ("replace", "error"):
        raise CoactError(
            f"illegal_actions is {illegal_actions!r}; use 'replace' or 'error'"
        )
    return illegal_actions == "replace"
