"""JaxMARL's environments under jit with random actions, observations kept in the carry. A call is one jitted scan of 25 steps of
all copies, with their resets; compiling is not timed."""

import os
import sys

from serve import limit_threads, serve

few, all_cpus = limit_threads(int(sys.argv[1]))
os.environ["JAX_PLATFORMS"] = "cpu"
# XLA sizes its thread pool by the processors that it may use when it starts.
os.sched_setaffinity(0, few)
import jax

jax.devices()
os.sched_setaffinity(0, all_cpus)

# It says on standard output, which belongs to the answers, what it imports.
answers = os.dup(1)
os.dup2(2, 1)
import jaxmarl
from jaxmarl.environments.overcooked import overcooked_layouts

SPREAD = jaxmarl.make("MPE_simple_spread_v3")
KITCHEN = jaxmarl.make("overcooked", layout=overcooked_layouts["cramped_room"])
sys.stdout.flush()
os.dup2(answers, 1)
STEPS = 25


def stepping(env, n_actions):
    def build(p):
        n_envs = p["envs"]

        def one(carry, _):
            key, obs, state = carry
            key, choose, move = jax.random.split(key, 3)
            choose = jax.random.split(choose, len(env.agents))
            actions = {a: jax.random.randint(k, (n_envs,), 0, n_actions) for a, k in zip(env.agents, choose)}
            obs, state, _, _, _ = jax.vmap(env.step)(jax.random.split(move, n_envs), state, actions)
            return (key, obs, state), None

        scan = jax.jit(lambda carry: jax.lax.scan(one, carry, None, STEPS)[0])
        key = jax.random.PRNGKey(0)
        carry = (key, *jax.vmap(env.reset)(jax.random.split(key, n_envs)))

        def run(n):
            nonlocal carry
            for _ in range(n):
                carry = scan(carry)
            jax.block_until_ready(carry)

        return run

    return build


serve({"simple_spread": stepping(SPREAD, 5), "overcooked": stepping(KITCHEN, 6)})
