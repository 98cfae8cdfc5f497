"""PyTorch: greedy and epsilon-greedy action selection, and a VDN double-DQN update with clipping and Adam; eager, compiled
(torch.compile) and, on a GPU (PEER_DEVICE=cuda), replayed as CUDA graphs, of eager and of compiled code, one update a graph
and several. There, matrix products may use TF32, data is on the device before the clock starts, and only the last call is
waited for."""

import os
import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import torch
from torch import nn

DEVICE = torch.device(os.environ.get("PEER_DEVICE", "cpu"))
ON_GPU = DEVICE.type == "cuda"
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
if ON_GPU:
    torch.set_float32_matmul_precision("high")
    torch.zeros(1, device=DEVICE)
WIDTHS = (18, 64, 64, 5)
GAMMA, CLIP, LR = 0.99, 10.0, 1e-3


def wait():
    if ON_GPU:
        torch.cuda.synchronize()


def widths(p):
    return (WIDTHS[0], p.get("hidden", WIDTHS[1]), p.get("hidden", WIDTHS[2]), WIDTHS[3])


def network(p):
    sizes = widths(p)
    layers = []
    for k, n in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(k, n), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(DEVICE)


def looped(step, pool):
    """Calls of `step` with the inputs of the pool in turn."""

    def run(n):
        for i in range(n):
            step(pool[i % len(pool)])
        wait()

    return run


def graphed(step, pool, steps=1):
    """Replays of `step`: CUDA graphs of `steps` of them each, with the entries of the pool in turn, so that no call has to copy
    its inputs first."""
    if not ON_GPU:
        raise RuntimeError("CUDA graphs need a GPU")
    # Compilers and allocators come to rest before anything is captured.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for batch in pool[:3] * 2:
            step(batch)
    torch.cuda.current_stream().wait_stream(side)
    graphs = []
    for first in range(0, len(pool), steps):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for batch in pool[first : first + steps]:
                step(batch)
        graphs.append(graph)
    return looped(lambda graph: graph.replay(), graphs)


def act(p, form="eager"):
    pool = [{"obs": torch.randn(p["rows"], WIDTHS[0], device=DEVICE)} for _ in range(p["pool"])]
    net, epsilon = network(p), p["epsilon"]

    def choose(batch):
        actions = net(batch["obs"]).argmax(-1)
        if epsilon > 0.0:
            explore = torch.rand(actions.shape, device=DEVICE) < epsilon
            actions = torch.where(explore, torch.randint(0, WIDTHS[-1], actions.shape, device=DEVICE), actions)
        return actions

    choose = torch.compile(choose) if form.startswith("compiled") else choose
    if form.endswith("graph"):
        with torch.no_grad():
            return graphed(choose, pool)
    calls = looped(choose, pool)

    def run(n):
        with torch.inference_mode():
            calls(n)

    return run


def batches(p):
    shape = (p["batch"], p["agents"])
    normal = lambda *s: torch.randn(*s, device=DEVICE)
    for _ in range(p["pool"]):
        yield {
            "obs": normal(*shape, WIDTHS[0]),
            "next_obs": normal(*shape, WIDTHS[0]),
            "action": torch.randint(0, WIDTHS[-1], (*shape, 1), device=DEVICE),
            "reward": normal(p["batch"]),
            "discount": torch.where(torch.rand(p["batch"], device=DEVICE) < 0.05, 0.0, GAMMA),
            "weight": torch.rand(p["batch"], device=DEVICE) * 0.8 + 0.2,
        }


def update(p, form="eager", steps=1, **adam):
    pool, net, target = list(batches(p)), network(p), network(p)
    params = list(net.parameters())
    is_graph = form.endswith("graph")
    if is_graph:
        adam["capturable"] = True
    optimizer = torch.optim.Adam(params, lr=LR, **adam)

    def loss_of(batch):
        chosen = net(batch["obs"]).gather(-1, batch["action"]).squeeze(-1).sum(-1)
        with torch.no_grad():
            best = net(batch["next_obs"]).argmax(-1, keepdim=True)
            next_value = target(batch["next_obs"]).gather(-1, best).squeeze(-1).sum(-1)
            wanted = batch["reward"] + batch["discount"] * next_value
        td = chosen - wanted
        return (batch["weight"] * td * td).mean(), td.detach().abs()

    loss_of = torch.compile(loss_of) if form.startswith("compiled") else loss_of

    def step(batch):
        loss, priority = loss_of(batch)
        # In a graph too: gradients are written where the graph keeps them, and neither cleared nor added to.
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(params, CLIP)
        optimizer.step()
        return priority

    return graphed(step, pool, steps) if is_graph else looped(step, pool)


# Adam has three forms; which is the fastest depends on the machine and the tensors.
serve(
    {
        "act": act,
        "act_compiled": lambda p: act(p, "compiled"),
        "act_graph": lambda p: act(p, "graph"),
        "act_compiled_graph": lambda p: act(p, "compiled_graph"),
        "update": update,
        "update_foreach": lambda p: update(p, foreach=True),
        "update_fused": lambda p: update(p, fused=True),
        "update_compiled": lambda p: update(p, "compiled", fused=ON_GPU),
        "update_graph": lambda p: update(p, "graph", fused=True),
        "update_graphs": lambda p: update(p, "graph", steps=p["pool"], fused=True),
        "update_compiled_graph": lambda p: update(p, "compiled_graph", fused=True),
    }
)
