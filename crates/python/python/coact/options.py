"""What environments there are, and how keyword arguments become their options."""

from __future__ import annotations

import difflib
import json
import operator
import os
from typing import Any, NamedTuple

from coact import _coact
from coact._coact import CoactError

# Keyword arguments of the forms themselves, for hints.
KEYWORDS = (
    "render_mode",
    "max_cycles",
    "mask_in_obs",
    "illegal_actions",
    "render_width",
    "copy",
    "num_threads",
)


class EnvInfo(NamedTuple):
    """A listed environment."""

    name: str
    """Name that the forms take."""
    summary: str
    """What happens in it."""
    origin: str
    """Where its rules come from."""
    options: dict[str, tuple[Any, str]]
    """For each option its default and what it does."""
    random_return: float
    """Mean return of random play, summed over agents."""
    best_known_return: float | None
    """Best return known on that scale."""


def list_envs() -> list[EnvInfo]:
    """Every listed environment. Names of the families `lbf/...`, `rware/...` and `overcooked/LAYOUT` beyond these work too."""
    return [
        EnvInfo(
            name=entry["name"],
            summary=entry["summary"],
            origin=entry["origin"],
            options={
                key: (_value(default), explain)
                for key, (default, explain) in entry["options"].items()
            },
            random_return=entry["random_return"],
            best_known_return=entry["best_known_return"],
        )
        for entry in _coact.listed()
    ]


def _value(default: str) -> Any:
    try:
        return json.loads(default)
    except json.JSONDecodeError:
        return default


def prepare(
    name: str, options: dict[str, Any], max_cycles: int | None
) -> tuple[str, int | None]:
    """Options as JSON, and a limit of steps beyond what an option says, for the environment `name`."""
    if not isinstance(name, str):
        raise CoactError(f"the name of an environment is text, not {name!r}")
    known = _coact.options_of(name)
    for key in options:
        hint = difflib.get_close_matches(key, KEYWORDS, n=1, cutoff=0.75)
        if (
            key not in known
            and hint
            and not difflib.get_close_matches(key, known, n=1, cutoff=0.75)
        ):
            raise CoactError(
                f"{name} has no option `{key}`; did you mean `{hint[0]}`?"
            )
    limit = None
    if max_cycles is not None:
        limit = count("max_cycles", max_cycles, 2**32 - 1)
        own = next((key for key in ("max_cycles", "max_steps") if key in known), None)
        if own is not None:
            if own in options:
                raise CoactError(
                    f"{name}: max_cycles and {own} are the same thing; give one"
                )
            options, limit = {**options, own: limit}, None
    try:
        return json.dumps(options, default=_plain, allow_nan=False), limit
    except (TypeError, ValueError) as error:
        raise CoactError(f"{name}: options must be plain data: {error}") from None


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as plain ones, paths as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def count(what: str, value: Any, most: int) -> int:
    """A whole number from 1 to `most`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise CoactError(f"{what} is {value!r}; give a whole number") from None
    if not 1 <= number <= most:
        raise CoactError(f"{what} is {number}; use 1 to {most}")
    return number


def check_seed(seed: Any) -> int:
    """A seed of 64 bits."""
    try:
        number = operator.index(seed)
    except TypeError:
        raise CoactError(f"seed is {seed!r}; give a whole number") from None
    if not 0 <= number < 2**64:
        raise CoactError(f"seed is {number}; use 0 to 2**64 - 1")
    return number


def any_seed() -> int:
    """A seed that nobody chose."""
    return int.from_bytes(os.urandom(8), "little")
