"""PyTorch eager: greedy and epsilon-greedy action selection, and a VDN double-DQN update with clipping and Adam."""

import sys

from serve import limit_threads, serve

limit_threads(int(sys.argv[1]))
import torch
from torch import nn

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
WIDTHS = (18, 64, 64, 5)
GAMMA, CLIP, LR = 0.99, 10.0, 1e-3


def network():
    layers = []
    for k, n in zip(WIDTHS[:-1], WIDTHS[1:]):
        layers += [nn.Linear(k, n), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def act(p):
    pool = [torch.randn(p["rows"], WIDTHS[0]) for _ in range(p["pool"])]
    net, epsilon = network(), p["epsilon"]

    @torch.inference_mode()
    def run(n):
        for i in range(n):
            actions = net(pool[i % len(pool)]).argmax(-1)
            if epsilon > 0.0:
                explore = torch.rand(actions.shape) < epsilon
                actions = torch.where(explore, torch.randint(0, WIDTHS[-1], actions.shape), actions)

    return run


def batches(p):
    shape = (p["batch"], p["agents"])
    for _ in range(p["pool"]):
        yield {
            "obs": torch.randn(*shape, WIDTHS[0]),
            "next_obs": torch.randn(*shape, WIDTHS[0]),
            "action": torch.randint(0, WIDTHS[-1], (*shape, 1)),
            "reward": torch.randn(p["batch"]),
            "discount": torch.where(torch.rand(p["batch"]) < 0.05, 0.0, GAMMA),
            "weight": torch.rand(p["batch"]) * 0.8 + 0.2,
        }


def update(p, **form):
    pool, net, target = list(batches(p)), network(), network()
    params = list(net.parameters())
    optimizer = torch.optim.Adam(params, lr=LR, **form)

    def step(batch):
        chosen = net(batch["obs"]).gather(-1, batch["action"]).squeeze(-1).sum(-1)
        with torch.no_grad():
            best = net(batch["next_obs"]).argmax(-1, keepdim=True)
            next_value = target(batch["next_obs"]).gather(-1, best).squeeze(-1).sum(-1)
            wanted = batch["reward"] + batch["discount"] * next_value
        td = chosen - wanted
        loss = (batch["weight"] * td * td).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(params, CLIP)
        optimizer.step()
        return td.detach().abs()

    def run(n):
        for i in range(n):
            step(pool[i % len(pool)])

    return run


# Adam has three forms; which is the fastest depends on the machine and the tensors.
serve(
    {
        "act": act,
        "update": update,
        "update_foreach": lambda p: update(p, foreach=True),
        "update_fused": lambda p: update(p, fused=True),
    }
)
