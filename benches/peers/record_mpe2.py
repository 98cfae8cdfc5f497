"""Records traces of mpe2 1.1.1 for `testdata/vectors`: the scenarios and options that came with its version 1.1.

    python record_mpe2.py DIR

Needs mpe2==1.1.1. A trace starts from six decimals, so that files stay small, and holds what mpe2 said after each
step. Treasures that appear are part of a trace, because their places are drawn.
"""

import importlib
import json
import platform
import sys
from pathlib import Path

import numpy as np

STEPS = 25

# File, scenario and version, our options, theirs, how episodes start.
SETS = [
    ("mpe_simple_formation", "simple_formation", 1, {}, {}, "reset"),
    ("mpe_simple_formation_ends", "simple_formation", 1, {"terminate_on_success": True}, {"N": 3, "terminate_on_success": True}, "near"),
    ("mpe_simple_line", "simple_line", 1, {}, {}, "reset"),
    ("mpe_simple_line_ends", "simple_line", 1, {"terminate_on_success": True}, {"N": 5, "terminate_on_success": True}, "near"),
    ("mpe_collect_treasure", "collect_treasure", 1, {}, {}, "near"),
    ("mpe_simple_spread_ends", "simple_spread", 3, {"terminate_on_success": True}, {"terminate_on_success": True}, "near"),
    (
        "mpe_simple_spread_neighbors",
        "simple_spread",
        3,
        {"n_agent_neighbors": 2, "n_landmark_neighbors": 6, "curriculum_stage": 0},
        {"N": 5, "num_agent_neighbors": 2, "num_landmark_neighbors": 6, "curriculum": True},
        "reset",
    ),
    (
        "mpe_simple_tag_options",
        "simple_tag",
        3,
        {"n_agent_neighbors": 3, "n_landmark_neighbors": 1, "curriculum_stage": 0, "terminate_on_success": True},
        {"num_good": 2, "num_agent_neighbors": 3, "num_landmark_neighbors": 1, "curriculum": True,
         "terminate_on_success": True},
        "near",
    ),
    (
        "mpe_simple_adversary_neighbors",
        "simple_adversary",
        3,
        {"n_agent_neighbors": 4, "n_landmark_neighbors": 2},
        {"N": 3, "num_agent_neighbors": 4, "num_landmark_neighbors": 2},
        "reset",
    ),
]


def short(value):
    """Numbers in ten digits."""
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [short(v) for v in value]
    if isinstance(value, (bool, np.bool_, str)) or value is None:
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, (int, np.integer)):
        return int(value)
    number = float(f"{float(value):.12g}")
    return int(number) if number == int(number) and abs(number) < 1e9 else number


def places(world):
    return [[*a.state.p_pos, *a.state.p_vel] for a in world.agents]


def kinds(world):
    return [lm.type if lm.alive else None for lm in world.landmarks]


def start(scenario, world, how, rng):
    """Rounds the start; moves agents near to goals, and returns those, where episodes shall come to an end."""
    landmarks = [lm.state.p_pos for lm in world.landmarks]
    for landmark in world.landmarks:
        landmark.state.p_pos = np.round(landmark.state.p_pos, 6)
    goals = None
    if how == "near":
        n = len(world.agents)
        if scenario == "simple_line":
            a, b = landmarks
            goals = [a + (b - a) * i / (n - 1) for i in range(n)]
        elif scenario == "simple_formation":
            angles = rng.uniform(0.1, 0.5) + 2 * np.pi * np.arange(n) / n
            goals = [landmarks[0] + 0.5 * np.array([np.cos(t), np.sin(t)]) for t in angles]
        elif scenario == "simple_tag":
            goals = [rng.uniform(-0.7, 0.7, 2) for _ in range(n)]
            goals[3], goals[4] = goals[0] + [0.12, 0.0], goals[1] + [0.0, 0.12]
        else:
            goals = [landmarks[i % len(landmarks)] for i in range(n)]
    for i, agent in enumerate(world.agents):
        if goals is not None:
            agent.state.p_pos = goals[i] + rng.uniform(-0.25, 0.25, 2)
        agent.state.p_pos = np.round(agent.state.p_pos, 6)
    return goals if scenario != "collect_treasure" else None


def actions(env, world, goals, rng, continuous):
    """Random ones, or such as lead to goals: of hunters, to the hunted."""
    chosen = {}
    for i, agent in enumerate(env.possible_agents):
        body = world.agents[i].state
        if goals is not None and rng.uniform() < 0.8:
            goal = goals[i]
            if getattr(world.agents[i], "adversary", False):
                goal = world.agents[3 + i % 2].state.p_pos
            wish = np.clip(2 * (goal - body.p_pos) - 0.8 * body.p_vel, -1, 1)
            if getattr(world.agents[i], "adversary", None) is False:
                wish = np.zeros(2)
            if continuous:
                strengths = [0, max(-wish[0], 0), max(wish[0], 0), max(-wish[1], 0), max(wish[1], 0)]
                chosen[agent] = (np.round(np.array(strengths) * 1024) / 1024).astype(np.float32)
            else:
                axis = int(np.argmax(np.abs(wish)))
                chosen[agent] = 0 if abs(wish[axis]) < 0.1 else 1 + 2 * axis + int(wish[axis] > 0)
        elif continuous:
            # Exact in 32 bits, which is what spaces hold.
            chosen[agent] = (np.round(rng.uniform(0, 1, 5) * 1024) / 1024).astype(np.float32)
        else:
            chosen[agent] = int(rng.integers(5))
    return chosen


def episode(module, scenario, theirs, how, seed, continuous):
    env = module.parallel_env(max_cycles=STEPS, continuous_actions=continuous, **theirs)
    env.reset(seed=seed)
    inner = env.unwrapped.aec_env.unwrapped if hasattr(env.unwrapped, "aec_env") else env.unwrapped
    world, rng = inner.world, np.random.default_rng(seed)
    goals = start(scenario, world, how, rng)
    if scenario == "simple_line":
        a, b = (lm.state.p_pos for lm in world.landmarks)
        n = len(world.agents)
        inner.scenario._expected_positions = [a + (b - a) * i / max(n - 1, 1) for i in range(n)]
    init = {"agents_pos_vel": places(world)}
    treasure = scenario == "collect_treasure"
    if treasure:
        init["treasures_pos"] = [lm.state.p_pos for lm in world.landmarks]
        init["treasures_kind"] = kinds(world)
    else:
        init["landmarks_pos"] = [lm.state.p_pos for lm in world.landmarks]
    if scenario == "simple_adversary":
        goal = next(i for i, lm in enumerate(world.landmarks) if lm is world.agents[0].goal_a)
        init["goal_landmark"] = goal
    look = lambda: [inner.scenario.observation(a, world) for a in world.agents]
    case = {"seed": seed, "kind": "reset", "continuous": continuous, "init": short(init), "actions": [],
            "pos_vel": [], "rewards": [], "obs": {"0": short(look())}, "done_at": STEPS}
    if treasure:
        case |= {"loads": [], "appears": {}}
    for step in range(1, STEPS + 1):
        chosen = actions(env, world, goals, rng, continuous)
        before = kinds(world) if treasure else None
        _, rewards, terminations, _, _ = env.step(chosen)
        case["actions"].append([a.tolist() if continuous else a for a in chosen.values()])
        case["pos_vel"].append(short(places(world)))
        case["rewards"].append(short([rewards[a] for a in env.possible_agents]))
        if treasure:
            now = kinds(world)
            new = [i for i in range(len(now)) if before[i] is None and now[i] is not None]
            if new:
                # A place that is drawn cannot be rounded: the full number.
                case["appears"][str(step)] = [
                    {"treasure": i, "pos": world.landmarks[i].state.p_pos.tolist(), "kind": now[i]} for i in new
                ]
            held = [a.holding for a in world.agents if a.collector]
            case["loads"].append([-1 if h is None else h for h in held])
        ended = any(terminations.values())
        if step in (1, 2) or step % 5 == 0 or ended:
            case["obs"][str(step)] = short(look())
        if ended:
            case["terminated_at"] = step
            break
    return case, env.possible_agents


def main():
    out = Path(sys.argv[1])
    for file, scenario, version, ours, theirs, how in SETS:
        module = importlib.import_module(f"mpe2.{scenario}_v{version}")
        cases = []
        for seed in range(8):
            case, agents = episode(module, scenario, theirs, how, seed, seed % 2 == 1)
            cases.append(case)
        whole = {
            "format": "coact-vectors/1",
            "name": f"mpe_{scenario}",
            "oracle": {"package": "mpe2", "mpe2": "1.1.1", "source": f"mpe2/{scenario}/{scenario}.py"},
            "generated_with": {"python": platform.python_version(), "numpy": np.__version__},
            "options": ours,
            "agent_order": agents,
            "cases": cases,
        }
        (out / f"{file}.json").write_text(json.dumps(whole, separators=(",", ":")) + "\n")
        ends = [c.get("terminated_at") for c in cases]
        print(f"{file}: {len(cases)} cases, ends {ends}")


if __name__ == "__main__":
    main()
