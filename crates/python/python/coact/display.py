"""Moments as pixels and as text."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from coact import _coact
from coact._coact import CoactError

RENDER_MODES = ("human", "rgb_array", "ansi")
"""How a moment can be shown: printed to the terminal, as pixels `[H, W, 3]`, as text."""
RENDER_FPS = 10
COLUMNS = 78


def check_render_mode(render_mode: str | None) -> None:
    """Refuses what cannot be shown."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise CoactError(
            f"render_mode is {render_mode!r}; use None or one of {', '.join(RENDER_MODES)}"
        )


def show(
    one: _coact.One, render_mode: str | None, width: int
) -> np.ndarray[Any, np.dtype[np.uint8]] | str | None:
    """The moment as pixels, as text, or printed."""
    if render_mode == "rgb_array":
        return one.render_rgb(width)
    if render_mode == "ansi":
        return one.render_text(COLUMNS, False)
    if render_mode == "human":
        print(one.render_text(COLUMNS, True), end="")
        return None
    warnings.warn(
        "render() shows nothing without a render_mode; give one when making the environment",
        stacklevel=3,
    )
    return None
