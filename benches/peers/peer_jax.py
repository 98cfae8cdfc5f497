"""JAX under jit: greedy and epsilon-greedy action selection, and a VDN double-DQN update with clipping and Adam. On the CPU
each call is waited for, as a caller there would; on a GPU (PEER_DEVICE=cuda) only the last, so that launches overlap."""

import os
import sys

from serve import limit_threads, serve

few, all_cpus = limit_threads(int(sys.argv[1]))
ON_CPU = os.environ.get("PEER_DEVICE", "cpu") == "cpu"
os.environ["JAX_PLATFORMS"] = "cpu" if ON_CPU else "cuda"
# XLA sizes its thread pool by the processors that it may use when it starts.
os.sched_setaffinity(0, few if ON_CPU else all_cpus)
import jax
import jax.numpy as jnp
import numpy as np

jax.devices()
os.sched_setaffinity(0, all_cpus)

WIDTHS = (18, 64, 64, 5)
GAMMA, CLIP, LR = 0.99, 10.0, 1e-3


def parameters(seed):
    rng = np.random.default_rng(seed)
    layers = []
    for k, n in zip(WIDTHS[:-1], WIDTHS[1:]):
        weight = rng.standard_normal((k, n)) * np.sqrt(2.0 / k)
        layers.append((jnp.asarray(weight, jnp.float32), jnp.asarray(rng.standard_normal(n) * 0.1, jnp.float32)))
    return layers


def forward(params, x):
    for i, (weight, bias) in enumerate(params):
        x = x @ weight + bias
        if i + 1 < len(params):
            x = jax.nn.relu(x)
    return x


def act(p):
    rng = np.random.default_rng(1)
    pool = [jnp.asarray(rng.standard_normal((p["rows"], WIDTHS[0])), jnp.float32) for _ in range(p["pool"])]
    params = parameters(0)
    epsilon = p["epsilon"]

    @jax.jit
    def choose(params, obs, key):
        greedy = jnp.argmax(forward(params, obs), axis=-1)
        if epsilon == 0.0:
            return greedy, key
        key, coin, draw = jax.random.split(key, 3)
        explore = jax.random.uniform(coin, greedy.shape) < epsilon
        return jnp.where(explore, jax.random.randint(draw, greedy.shape, 0, WIDTHS[-1]), greedy), key

    def run(n):
        key = jax.random.PRNGKey(0)
        for i in range(n):
            actions, key = choose(params, pool[i % len(pool)], key)
            if ON_CPU:
                actions.block_until_ready()
        actions.block_until_ready()

    return run


def batches(p):
    rng = np.random.default_rng(2)
    shape = (p["pool"], p["batch"], p["agents"])
    normal = lambda *s: jnp.asarray(rng.standard_normal(s), jnp.float32)
    return {
        "obs": normal(*shape, WIDTHS[0]),
        "next_obs": normal(*shape, WIDTHS[0]),
        "action": jnp.asarray(rng.integers(0, WIDTHS[-1], shape), jnp.int32),
        "reward": normal(p["pool"], p["batch"]),
        "discount": jnp.asarray(np.where(rng.random(shape[:2]) < 0.05, 0.0, GAMMA), jnp.float32),
        "weight": jnp.asarray(rng.uniform(0.2, 1.0, shape[:2]), jnp.float32),
    }


def train_step(state, target, batch):
    """One update: new (params, m, v, step) and the priorities."""
    params, m, v, step = state

    def loss_of(params):
        q = forward(params, batch["obs"])
        chosen = jnp.take_along_axis(q, batch["action"][..., None], axis=-1)[..., 0]
        best = jnp.argmax(forward(params, batch["next_obs"]), axis=-1)
        next_q = forward(target, batch["next_obs"])
        next_value = jnp.take_along_axis(next_q, best[..., None], axis=-1)[..., 0].sum(-1)
        wanted = jax.lax.stop_gradient(batch["reward"] + batch["discount"] * next_value)
        td = chosen.sum(-1) - wanted
        return (batch["weight"] * td * td).mean(), jnp.abs(td)

    (_, priority), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
    norm = jnp.sqrt(sum((g * g).sum() for g in jax.tree.leaves(grads)))
    scale = jnp.minimum(1.0, CLIP / (norm + 1e-6))
    grads = jax.tree.map(lambda g: g * scale, grads)
    step = step + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    c1, c2 = 1 - 0.9**step, 1 - 0.999**step
    adam = lambda p, m, v: p - LR * (m / c1) / (jnp.sqrt(v / c2) + 1e-8)
    return (jax.tree.map(adam, params, m, v), m, v, step), priority


def fresh_state():
    params = parameters(0)
    zeros = lambda: jax.tree.map(jnp.zeros_like, params)
    return params, zeros(), zeros(), jnp.float32(0)


def update(p):
    """One jitted call an update."""
    pool = batches(p)
    pool = [jax.tree.map(lambda x: x[i], pool) for i in range(p["pool"])]
    target = parameters(1)
    step = jax.jit(train_step, donate_argnums=0)
    box = [fresh_state()]

    def run(n):
        state = box[0]
        for i in range(n):
            state, priority = step(state, target, pool[i % len(pool)])
            if ON_CPU:
                jax.block_until_ready((state, priority))
        jax.block_until_ready((state, priority))
        box[0] = state

    return run


def update_scan(p):
    """`scan` updates in one jitted call; a call counts as one update."""
    pool = batches(p)
    target = parameters(1)
    length = p["scan"]

    def many(state, target, pool):
        def body(state, i):
            batch = jax.tree.map(lambda x: x[i % p["pool"]], pool)
            return train_step(state, target, batch)

        return jax.lax.scan(body, state, jnp.arange(length))

    many = jax.jit(many, donate_argnums=0)
    box = [fresh_state()]

    def run(n):
        state = box[0]
        for _ in range(n):
            state, priority = many(state, target, pool)
            jax.block_until_ready((state, priority))
        box[0] = state

    return run


serve({"act": act, "update": update, "update_scan": update_scan})
