"""Multi-agent environments, written in Rust.

* `parallel_env(name, ...)`: as a PettingZoo `ParallelEnv`; `env(name, ...)` as an `AECEnv`.
* `gym_env(name, ...)`: environments of one agent as a Gymnasium `Env`.
* `batch_env(name, num_envs, seed, ...)`: thousands of copies stepped together, on NumPy arrays.
* `list_envs()`: what there is, with options.

Whatever is refused raises `CoactError`, a `ValueError` with one line that says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coact._coact import CoactError, __version__
from coact.batch import BatchEnv, Group, GroupStep, Step
from coact.options import EnvInfo, list_envs

if TYPE_CHECKING:
    from pettingzoo import AECEnv

    from coact.parallel import ParallelEnv
    from coact.single import SingleAgentEnv

__all__ = [
    "BatchEnv",
    "CoactError",
    "EnvInfo",
    "Group",
    "GroupStep",
    "Step",
    "__version__",
    "batch_env",
    "env",
    "gym_env",
    "list_envs",
    "parallel_env",
]


def parallel_env(
    name: str,
    *,
    render_mode: str | None = None,
    max_cycles: int | None = None,
    mask_in_obs: bool = False,
    illegal_actions: str = "replace",
    render_width: int = 480,
    **options: Any,
) -> ParallelEnv:
    """The environment `name` as a PettingZoo `ParallelEnv`; see `coact.parallel.ParallelEnv` for what the arguments do."""
    from coact.parallel import ParallelEnv

    return ParallelEnv(
        name,
        render_mode=render_mode,
        max_cycles=max_cycles,
        mask_in_obs=mask_in_obs,
        illegal_actions=illegal_actions,
        render_width=render_width,
        **options,
    )


def env(name: str, **arguments: Any) -> AECEnv[Any, Any, Any]:
    """The environment `name` as a PettingZoo `AECEnv`, in which agents act one after the other. Takes what `parallel_env` takes."""
    from pettingzoo.utils import parallel_to_aec

    return parallel_to_aec(parallel_env(name, **arguments))


def gym_env(
    name: str,
    *,
    render_mode: str | None = None,
    max_cycles: int | None = None,
    mask_in_obs: bool = False,
    illegal_actions: str = "replace",
    render_width: int = 480,
    **options: Any,
) -> SingleAgentEnv:
    """The environment `name`, which must have one agent, as a Gymnasium `Env`; see `coact.single.SingleAgentEnv`."""
    from coact.single import SingleAgentEnv

    return SingleAgentEnv(
        name,
        render_mode=render_mode,
        max_cycles=max_cycles,
        mask_in_obs=mask_in_obs,
        illegal_actions=illegal_actions,
        render_width=render_width,
        **options,
    )


def batch_env(
    name: str,
    num_envs: int,
    seed: int | None = None,
    *,
    copy: bool = False,
    max_cycles: int | None = None,
    num_threads: int | None = None,
    **options: Any,
) -> BatchEnv:
    """`num_envs` copies of the environment `name`, stepped together; see `coact.batch.BatchEnv` for what the arguments do."""
    return BatchEnv(
        name,
        num_envs,
        seed,
        copy=copy,
        max_cycles=max_cycles,
        num_threads=num_threads,
        **options,
    )
