"""JaxMARL's simple_spread with training loops under jit in its published settings: VDN feed-forward and recurrent, recurrent
QMIX, PQN-VDN, IPPO, recurrent MAPPO. A call is one jitted scan of some updates that goes on where the last call ended; compiling is not timed."""

import os
import sys

from serve import limit_threads, serve

few, all_cpus = limit_threads(int(sys.argv[1]))
os.environ["JAX_PLATFORMS"] = "cpu"
# XLA sizes its thread pool by the processors that it may use when it starts.
os.sched_setaffinity(0, few)
import jax
import jax.numpy as jnp
import optax

jax.devices()
os.sched_setaffinity(0, all_cpus)

# It says on standard output, which belongs to the answers, what it imports.
answers = os.dup(1)
os.dup2(2, 1)
import jaxmarl

ENV = jaxmarl.make("MPE_simple_spread_v3")
sys.stdout.flush()
os.dup2(answers, 1)
AGENTS, OBS, ACTIONS = ENV.agents, 18, 5


def columns(per_agent):
    return jnp.stack([per_agent[a] for a in AGENTS], axis=1)


def reset(key, n_envs):
    obs, state = jax.vmap(ENV.reset)(jax.random.split(key, n_envs))
    return columns(obs), state


def step(key, state, actions):
    """actions [E, A] -> obs [E, A, D], state, common reward [E], done [E]"""
    per_agent = {a: actions[:, i] for i, a in enumerate(AGENTS)}
    keys = jax.random.split(key, actions.shape[0])
    obs, state, reward, done, _ = jax.vmap(ENV.step)(keys, state, per_agent)
    return columns(obs), state, columns(reward).sum(-1), done["__all__"]


def dense(key, k, n, scale):
    weight = jax.nn.initializers.orthogonal(scale)(key, (k, n))
    return {"w": weight, "b": jnp.zeros(n)}


def mlp(key, widths, norm=False, last=1.0):
    keys = jax.random.split(key, len(widths))
    layers = [dense(keys[i], k, n, 2.0**0.5) for i, (k, n) in enumerate(zip(widths[:-2], widths[1:-1]))]
    for layer in layers if norm else []:
        n = layer["b"].shape[0]
        layer |= {"gain": jnp.ones(n), "shift": jnp.zeros(n)}
    return layers + [dense(keys[-1], widths[-2], widths[-1], last)]


def forward(layers, x, activation=jax.nn.relu):
    for layer in layers[:-1]:
        x = x @ layer["w"] + layer["b"]
        if "gain" in layer:
            x = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6)
            x = x * layer["gain"] + layer["shift"]
        x = activation(x)
    return x @ layers[-1]["w"] + layers[-1]["b"]


def chosen(q, actions):
    return jnp.take_along_axis(q, actions[..., None], axis=-1)[..., 0]


def explore(key, q, epsilon):
    coin, draw = jax.random.split(key)
    random = jax.random.randint(draw, q.shape[:-1], 0, ACTIONS)
    return jnp.where(jax.random.uniform(coin, q.shape[:-1]) < epsilon, random, q.argmax(-1))


def calls(update, carry, updates):
    """Turns one update into run(n), which makes n scans of `updates` updates."""
    scan = jax.jit(lambda carry: jax.lax.scan(lambda c, _: (update(c), None), carry, None, updates)[0])
    held = [carry]

    def run(n):
        for _ in range(n):
            held[0] = scan(held[0])
        jax.block_until_ready(held[0])

    return run


def vdn_ff(p):
    n_envs, n_steps, capacity, batch, gamma = 32, 16, 100_000 // 32, 32, 0.9
    key = jax.random.PRNGKey(0)
    params = mlp(key, (OBS, 64, 64, ACTIONS))
    optimizer = optax.chain(optax.clip_by_global_norm(25.0), optax.radam(5e-3))
    obs, state = reset(key, n_envs)
    store = {
        "obs": jnp.zeros((capacity, n_envs, 3, OBS)),
        "next": jnp.zeros((capacity, n_envs, 3, OBS)),
        "action": jnp.zeros((capacity, n_envs, 3), jnp.int32),
        "reward": jnp.zeros((capacity, n_envs)),
        "done": jnp.zeros((capacity, n_envs)),
    }

    def act(carry, _):
        params, obs, state, key, store, at = carry
        key, choose, move = jax.random.split(key, 3)
        actions = explore(choose, forward(params, obs), 0.05)
        later, state, reward, done = step(move, state, actions)
        row = {"obs": obs, "next": later, "action": actions, "reward": reward, "done": done.astype(jnp.float32)}
        store = {k: v.at[at % capacity].set(row[k]) for k, v in store.items()}
        return (params, later, state, key, store, at + 1), None

    def update(carry):
        params, target, moments, obs, state, key, store, at, n = carry
        (params, obs, state, key, store, at), _ = jax.lax.scan(act, (params, obs, state, key, store, at), None, n_steps)
        key, draw_t, draw_e = jax.random.split(key, 3)
        t = jax.random.randint(draw_t, (batch,), 0, jnp.minimum(at, capacity))
        e = jax.random.randint(draw_e, (batch,), 0, n_envs)
        rows = {k: v[t, e] for k, v in store.items()}
        best = forward(params, rows["next"]).argmax(-1)
        goal = rows["reward"] + gamma * (1 - rows["done"]) * chosen(forward(target, rows["next"]), best).sum(-1)

        def loss(params):
            return ((chosen(forward(params, rows["obs"]), rows["action"]).sum(-1) - goal) ** 2).mean()

        change, moments = optimizer.update(jax.grad(loss)(params), moments, params)
        params = optax.apply_updates(params, change)
        target = jax.tree.map(lambda t, o: jnp.where(n % 200 == 0, o, t), target, params)
        return params, target, moments, obs, state, key, store, at, n + 1

    carry = (params, params, optimizer.init(params), obs, state, key, store, 0, 0)
    return calls(update, carry, p["env_steps"] // (n_envs * n_steps))


def gru(key, k, n):
    a, b = jax.random.split(key)
    return {"x": dense(a, k, 3 * n, 1.0), "h": dense(b, n, 3 * n, 1.0)}


def gru_step(cell, h, x):
    gx, gh = x @ cell["x"]["w"] + cell["x"]["b"], h @ cell["h"]["w"] + cell["h"]["b"]
    (rx, zx, nx), (rh, zh, nh) = jnp.split(gx, 3, -1), jnp.split(gh, 3, -1)
    r, z = jax.nn.sigmoid(rx + rh), jax.nn.sigmoid(zx + zh)
    return (1 - z) * jnp.tanh(nx + r * nh) + z * h


def mixer(key):
    keys = jax.random.split(key, 4)
    state, embed, hyper = 3 * OBS, 32, 128
    return {
        "w1": mlp(keys[0], (state, hyper, 3 * embed), last=1e-3),
        "b1": mlp(keys[1], (state, embed), last=1e-3),
        "w2": mlp(keys[2], (state, hyper, embed), last=1e-3),
        "b2": mlp(keys[3], (state, embed, 1), last=1e-3),
    }


def mix(layers, q, state):
    """q [..., 3], state [..., S] -> [...], rising in every q"""
    w1 = jnp.abs(forward(layers["w1"], state)).reshape(*q.shape, -1)
    hidden = jax.nn.elu((q[..., None] * w1).sum(-2) + forward(layers["b1"], state))
    w2 = jnp.abs(forward(layers["w2"], state))
    return (hidden * w2).sum(-1) + forward(layers["b2"], state)[..., 0]


def recurrent_values(is_mixed):
    n_envs, n_steps, capacity, batch, gamma, width = 8, 26, 5_000 // 8, 32, 0.9, 64
    key = jax.random.PRNGKey(0)
    keys = jax.random.split(key, 4)
    params = {"in": dense(keys[0], OBS, width, 2.0**0.5), "cell": gru(keys[1], width, width)}
    params["out"] = dense(keys[2], width, ACTIONS, 1.0)
    if is_mixed:
        params["mixer"] = mixer(keys[3])
    optimizer = optax.chain(optax.clip_by_global_norm(25.0), optax.radam(5e-3))

    def q_step(params, h, obs, first):
        h = jnp.where(first[:, None, None], 0.0, h)
        x = jax.nn.relu(obs @ params["in"]["w"] + params["in"]["b"])
        h = gru_step(params["cell"], h, x)
        return h, h @ params["out"]["w"] + params["out"]["b"]

    def team(params, q, obs):
        if is_mixed:
            return mix(params["mixer"], q, obs.reshape(*obs.shape[:-2], -1))
        return q.sum(-1)

    def unroll(params, obs, first):
        start = jnp.zeros((obs.shape[1], 3, width))
        return jax.lax.scan(lambda h, x: q_step(params, h, *x), start, (obs, first))[1]

    def act(carry, _):
        params, h, obs, first, state, key = carry
        key, choose, move = jax.random.split(key, 3)
        h, q = q_step(params, h, obs, first)
        actions = explore(choose, q, 0.05)
        later, state, reward, done = step(move, state, actions)
        row = {"obs": obs, "first": first, "action": actions, "reward": reward, "done": done}
        return (params, h, later, done, state, key), row

    def update(carry):
        params, target, moments, obs, first, state, key, store, at, n = carry
        h = jnp.zeros((n_envs, 3, width))
        (_, _, obs, first, state, key), rows = jax.lax.scan(act, (params, h, obs, first, state, key), None, n_steps)
        store = {k: v.at[at % capacity].set(rows[k]) for k, v in store.items()}
        key, draw_t, draw_e = jax.random.split(key, 3)
        t = jax.random.randint(draw_t, (batch,), 0, jnp.minimum(at + 1, capacity))
        e = jax.random.randint(draw_e, (batch,), 0, n_envs)
        rows = {k: jnp.swapaxes(v[t, :, e], 0, 1) for k, v in store.items()}
        q_target = unroll(target, rows["obs"], rows["first"])

        def loss(params):
            q = unroll(params, rows["obs"], rows["first"])
            best = jax.lax.stop_gradient(q).argmax(-1)
            later = team(target, chosen(q_target, best), rows["obs"])[1:]
            goal = rows["reward"][:-1] + gamma * (1 - rows["done"][:-1]) * later
            return ((team(params, chosen(q, rows["action"]), rows["obs"])[:-1] - goal) ** 2).mean()

        change, moments = optimizer.update(jax.grad(loss)(params), moments, params)
        params = optax.apply_updates(params, change)
        target = jax.tree.map(lambda t, o: jnp.where(n % 200 == 0, o, t), target, params)
        return params, target, moments, obs, first, state, key, store, at + 1, n + 1

    obs, state = reset(key, n_envs)
    first = jnp.ones(n_envs, bool)
    shape = (capacity, n_steps, n_envs)
    store = {
        "obs": jnp.zeros((*shape, 3, OBS)),
        "first": jnp.zeros(shape, bool),
        "action": jnp.zeros((*shape, 3), jnp.int32),
        "reward": jnp.zeros(shape),
        "done": jnp.zeros(shape, bool),
    }
    carry = (params, params, optimizer.init(params), obs, first, state, key, store, 0, 0)
    return update, carry, n_envs * n_steps


def vdn_rnn(p):
    update, carry, steps = recurrent_values(is_mixed=False)
    return calls(update, carry, p["env_steps"] // steps)


def qmix_rnn(p):
    update, carry, steps = recurrent_values(is_mixed=True)
    return calls(update, carry, p["env_steps"] // steps)


def minibatches(key, rows, n):
    """[T, E, ...] -> [n, T * E / n, ...] in random order"""
    flat = jax.tree.map(lambda v: v.reshape(v.shape[0] * v.shape[1], *v.shape[2:]), rows)
    order = jax.random.permutation(key, jax.tree.leaves(flat)[0].shape[0])
    return jax.tree.map(lambda v: v[order].reshape(n, -1, *v.shape[1:]), flat)


def pqn_vdn(p):
    n_envs, n_steps, gamma, lam, epochs, parts = 256, 16, 0.9, 0.3, 4, 16
    key = jax.random.PRNGKey(0)
    params = mlp(key, (OBS, 256, 256, ACTIONS), norm=True)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.radam(5e-4))

    def act(carry, _):
        params, obs, state, key = carry
        key, choose, move = jax.random.split(key, 3)
        q = forward(params, obs)
        actions = explore(choose, q, 0.1)
        later, state, reward, done = step(move, state, actions)
        row = {"obs": obs, "action": actions, "reward": reward, "done": done.astype(jnp.float32), "best": q.max(-1).sum(-1)}
        return (params, later, state, key), row

    def update(carry):
        params, moments, obs, state, key = carry
        (_, obs, state, key), rows = jax.lax.scan(act, (params, obs, state, key), None, n_steps)
        last = forward(params, obs).max(-1).sum(-1)

        def back(carry, row):
            goal, later = carry
            goal = row["reward"] + gamma * (1 - row["done"]) * (lam * goal + (1 - lam) * later)
            return (goal, row["best"]), goal

        rows["goal"] = jax.lax.scan(back, (last, last), rows, reverse=True)[1]

        def part(carry, rows):
            params, moments = carry

            def loss(params):
                return ((chosen(forward(params, rows["obs"]), rows["action"]).sum(-1) - rows["goal"]) ** 2).mean()

            change, moments = optimizer.update(jax.grad(loss)(params), moments, params)
            return (optax.apply_updates(params, change), moments), None

        def epoch(carry, key):
            return jax.lax.scan(part, carry, minibatches(key, rows, parts))

        key, order = jax.random.split(key)
        (params, moments), _ = jax.lax.scan(epoch, (params, moments), jax.random.split(order, epochs))
        return params, moments, obs, state, key

    obs, state = reset(key, n_envs)
    carry = (params, optimizer.init(params), obs, state, key)
    return calls(update, carry, p["env_steps"] // (n_envs * n_steps))


def with_advantages(rows, last, gamma=0.99, lam=0.95):
    """Generalized advantage estimates, and what the critic shall learn; `last` is the value after the rows."""

    def back(carry, row):
        advantage, later = carry
        goes_on = (1.0 - row["done"])[:, None]
        delta = row["reward"][:, None] + gamma * goes_on * later - row["value"]
        advantage = delta + gamma * lam * goes_on * advantage
        return (advantage, row["value"]), advantage

    advantage = jax.lax.scan(back, (jnp.zeros_like(last), last), rows, reverse=True)[1]
    return rows | {"advantage": advantage, "goal": advantage + rows["value"]}


def ppo_loss(logits, value, rows, clip=0.2):
    ratio = jnp.exp(chosen(logits, rows["action"]) - rows["logp"])
    advantage = (rows["advantage"] - rows["advantage"].mean()) / (rows["advantage"].std() + 1e-8)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage).mean()
    near = rows["value"] + jnp.clip(value - rows["value"], -clip, clip)
    fault = 0.5 * jnp.maximum((value - rows["goal"]) ** 2, (near - rows["goal"]) ** 2).mean()
    entropy = -(jnp.exp(logits) * logits).sum(-1).mean()
    return -gain + 0.5 * fault - 0.01 * entropy


def ippo_ff(p):
    n_envs, n_steps, epochs, parts = 16, 128, 4, 4
    key = jax.random.PRNGKey(0)
    actor_key, critic_key = jax.random.split(key)
    params = {
        "actor": mlp(actor_key, (OBS, 64, 64, ACTIONS), last=0.01),
        "critic": mlp(critic_key, (OBS, 64, 64, 1)),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(2.5e-4, eps=1e-5))

    def policy(params, obs):
        logits = jax.nn.log_softmax(forward(params["actor"], obs, jnp.tanh))
        return logits, forward(params["critic"], obs, jnp.tanh)[..., 0]

    def act(carry, _):
        params, obs, state, key = carry
        key, choose, move = jax.random.split(key, 3)
        logits, value = policy(params, obs)
        actions = jax.random.categorical(choose, logits)
        later, state, reward, done = step(move, state, actions)
        row = {"obs": obs, "action": actions, "value": value, "logp": chosen(logits, actions), "reward": reward, "done": done}
        return (params, later, state, key), row

    def update(carry):
        params, moments, obs, state, key = carry
        (_, obs, state, key), rows = jax.lax.scan(act, (params, obs, state, key), None, n_steps)
        rows = with_advantages(rows, policy(params, obs)[1])
        rows = {k: v for k, v in rows.items() if k not in ("reward", "done")}

        def part(carry, rows):
            params, moments = carry

            def loss(params):
                return ppo_loss(*policy(params, rows["obs"]), rows)

            change, moments = optimizer.update(jax.grad(loss)(params), moments, params)
            return (optax.apply_updates(params, change), moments), None

        def epoch(carry, key):
            return jax.lax.scan(part, carry, minibatches(key, rows, parts))

        key, order = jax.random.split(key)
        (params, moments), _ = jax.lax.scan(epoch, (params, moments), jax.random.split(order, epochs))
        return params, moments, obs, state, key

    obs, state = reset(key, n_envs)
    carry = (params, optimizer.init(params), obs, state, key)
    return calls(update, carry, p["env_steps"] // (n_envs * n_steps))


def recurrent_net(key, inputs, outputs, width, last):
    keys = jax.random.split(key, 4)
    return {
        "in": dense(keys[0], inputs, width, 2.0**0.5),
        "cell": gru(keys[1], width, width),
        "head": dense(keys[2], width, width, 2.0),
        "out": dense(keys[3], width, outputs, last),
    }


def recurrent_step(net, h, obs, first):
    h = jnp.where(first[:, None, None], 0.0, h)
    x = jnp.tanh(obs @ net["in"]["w"] + net["in"]["b"])
    h = gru_step(net["cell"], h, x)
    x = jnp.tanh(h @ net["head"]["w"] + net["head"]["b"])
    return h, x @ net["out"]["w"] + net["out"]["b"]


def mappo_rnn(p):
    n_envs, n_steps, epochs, parts, width = 16, 128, 4, 4, 128
    key = jax.random.PRNGKey(0)
    actor_key, critic_key = jax.random.split(key)
    params = {
        "actor": recurrent_net(actor_key, OBS, ACTIONS, width, 0.01),
        "critic": recurrent_net(critic_key, 3 * OBS, 1, width, 1.0),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(2e-3, eps=1e-5))

    def policy(params, h, obs, first):
        """The critic has a row an agent, as in JaxMARL, though all three see the same."""
        state = jnp.broadcast_to(obs.reshape(obs.shape[0], 1, -1), (obs.shape[0], 3, 3 * OBS))
        actor_h, logits = recurrent_step(params["actor"], h[0], obs, first)
        critic_h, value = recurrent_step(params["critic"], h[1], state, first)
        return (actor_h, critic_h), (jax.nn.log_softmax(logits), value[..., 0])

    def act(carry, _):
        params, h, obs, first, state, key = carry
        key, choose, move = jax.random.split(key, 3)
        h, (logits, value) = policy(params, h, obs, first)
        actions = jax.random.categorical(choose, logits)
        later, state, reward, done = step(move, state, actions)
        row = {"obs": obs, "first": first, "action": actions, "value": value, "logp": chosen(logits, actions)}
        return (params, h, later, done, state, key), row | {"reward": reward, "done": done}

    def update(carry):
        params, moments, h0, obs, first, state, key = carry
        (_, h, obs, first, state, key), rows = jax.lax.scan(act, (params, h0, obs, first, state, key), None, n_steps)
        rows = with_advantages(rows, policy(params, h, obs, first)[1][1])

        def part(carry, envs):
            params, moments = carry
            own = jax.tree.map(lambda v: v[:, envs], rows)
            start = jax.tree.map(lambda v: v[envs], h0)

            def loss(params):
                logits, value = jax.lax.scan(
                    lambda h, x: policy(params, h, *x), start, (own["obs"], own["first"])
                )[1]
                return ppo_loss(logits, value, own)

            change, moments = optimizer.update(jax.grad(loss)(params), moments, params)
            return (optax.apply_updates(params, change), moments), None

        def epoch(carry, key):
            return jax.lax.scan(part, carry, jax.random.permutation(key, n_envs).reshape(parts, -1))

        key, order = jax.random.split(key)
        (params, moments), _ = jax.lax.scan(epoch, (params, moments), jax.random.split(order, epochs))
        return params, moments, h, obs, first, state, key

    obs, state = reset(key, n_envs)
    h = (jnp.zeros((n_envs, 3, width)), jnp.zeros((n_envs, 3, width)))
    carry = (params, optimizer.init(params), h, obs, jnp.ones(n_envs, bool), state, key)
    return calls(update, carry, p["env_steps"] // (n_envs * n_steps))


serve(
    {
        "vdn": vdn_ff,
        "vdn-rnn": vdn_rnn,
        "qmix-rnn": qmix_rnn,
        "pqn-vdn": pqn_vdn,
        "ippo": ippo_ff,
        "mappo-rnn": mappo_rnn,
    }
)
