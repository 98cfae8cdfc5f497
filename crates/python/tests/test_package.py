"""Type stubs, the list of environments, the README and the examples say what is so."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coact
from coact import _coact

CRATE = Path(__file__).resolve().parent.parent


def run(*words: str) -> str:
    """What the command prints."""
    result = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=CRATE)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def parameters(function: ast.FunctionDef) -> list[str]:
    """Names of parameters in order, with `=` where there is a default."""
    names = [argument.arg for argument in function.args.args if argument.arg not in ("self", "cls")]
    first = len(names) - len(function.args.defaults)
    return [name + "=" * (i >= first) for i, name in enumerate(names)]


def signature(function: Any) -> list[str]:
    """The same of what is there."""
    found = inspect.signature(function).parameters.values()
    return [p.name + "=" * (p.default is not p.empty) for p in found if p.name != "self"]


def test_stubs_agree_with_the_module() -> None:
    """Names, parameters and defaults, in both directions."""
    stub = ast.parse((Path(coact.__file__).parent / "_coact.pyi").read_text())
    names = set()
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
            assert parameters(node) == signature(getattr(_coact, node.name)), node.name
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
            found = getattr(_coact, node.name)
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            for method in methods:
                there = found if method.name == "__new__" else getattr(found, method.name)
                assert parameters(method) == signature(there), f"{node.name}.{method.name}"
            if methods:
                public = {name for name in vars(found) if not name.startswith("_")}
                assert public == {method.name for method in methods} - {"__new__"}
    assert names | {"__version__"} == {n for n in vars(_coact) if n == "__version__" or n[0] != "_"}


def test_types(tmp_path: Path) -> None:
    """The package is typed throughout, and so is what a user sees of it."""
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        # PettingZoo is not typed, so what stands on its classes is not to be checked so strictly.
        f"[mypy]\ncache_dir = {tmp_path / 'cache'}\n[mypy-pettingzoo.*]\nignore_missing_imports = true\n"
        "[mypy-coact.parallel]\ndisallow_subclassing_any = false\n"
    )
    user = tmp_path / "user.py"
    user.write_text(
        "import coact, coact.gymnasium_ids\n"
        "step = coact.batch_env('simple', 2, seed=1).reset()\n"
        "reveal_type(step.obs)\n"
        "reveal_type(coact.parallel_env('simple').agents)\n"
        "coact.batch_env('simple', num_env=2)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(settings)]
    command += ["--package", "coact", "--module", "user"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    out = result.stdout
    assert "numpy.ndarray[" in out and "list[str]" in out, out + result.stderr
    assert out.count("error:") == 1 and 'Missing positional argument "num_envs"' in out, out


def test_list() -> None:
    entries = {entry.name: entry for entry in coact.list_envs()}
    assert len(entries) == len(coact.list_envs()) >= 40
    spread = entries["simple_spread"]
    assert spread.options["n_agents"][0] == 3 and spread.options["local_ratio"][0] == 0.5
    assert spread.random_return < spread.best_known_return < 0  # type: ignore[operator]
    for entry in entries.values():
        defaults = {key: value for key, (value, _) in entry.options.items()}
        json.dumps(defaults)
        env = coact.parallel_env(entry.name, **defaults)
        plain = coact.parallel_env(entry.name)
        assert env.possible_agents == plain.possible_agents
        first, second = env.reset(seed=1)[0], plain.reset(seed=1)[0]
        for agent in first:
            np.testing.assert_array_equal(first[agent], second[agent])


def test_version() -> None:
    assert coact.__version__ == importlib.metadata.version("coact")
    assert set(coact.__all__) <= set(dir(coact))


def examples_of_the_readme() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (CRATE / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("text", examples_of_the_readme(), ids=["parallel", "gymnasium", "batch"])
def test_readme(text: str) -> None:
    exec(compile(text, "README.md", "exec"), {})


def test_throughput_example() -> None:
    out = run("examples/throughput.py", "--seconds", "0.01", "--num-envs", "1", "32")
    rows = [line.split() for line in out.splitlines()[2:]]
    assert len(rows) == 5 and all(int(n.replace(",", "")) > 0 for row in rows for n in row[1:])
