"""Writes expected.json: weights after every step of torch.optim.SGD and torch.optim.AdamW, float32 and float64.

Run: python make_expected.py (torch 2.13.0; any version of the last years gives the same). Needed only to change the cases.
"""

import json
import math
import pathlib

import torch

SHAPES = {"kernel": [3, 2], "bias": [4]}
STEPS = 6
CLIP = 1.5
# Rates change, which tells forms apart; 0 at the end moves nothing but the moments.
RATES = [0.1, 0.05, 0.2, 0.01, 0.1, 0.0]
CASES = [
    {"name": "sgd", "kind": "sgd", "momentum": 0.9, "weightDecay": 0.05},
    {"name": "sgd, no decay of vectors, clipped", "kind": "sgd", "momentum": 0.9, "weightDecay": 0.05,
     "decayNormAndBias": False, "clipNorm": CLIP},
    {"name": "adamw", "kind": "adamw", "betas": [0.9, 0.999], "epsilon": 1e-8, "weightDecay": 0.1},
    {"name": "adamw, no decay of vectors, clipped", "kind": "adamw", "betas": [0.8, 0.95], "epsilon": 1e-8,
     "weightDecay": 0.1, "decayNormAndBias": False, "clipNorm": CLIP},
    # Parameter groups of their own: factors on the learning rate and the decay.
    {"name": "sgd, groups", "kind": "sgd", "momentum": 0.9, "weightDecay": 0.05,
     "factors": {"kernel": [0.25, 1.0], "bias": [1.0, 0.5]}},
    {"name": "adamw, groups, clipped", "kind": "adamw", "betas": [0.9, 0.999], "epsilon": 1e-8, "weightDecay": 0.1,
     "factors": {"kernel": [2.0, 0.0], "bias": [0.25, 4.0]}, "clipNorm": CLIP},
    # A large epsilon shows where it is added.
    {"name": "adamw, large epsilon", "kind": "adamw", "betas": [0.9, 0.999], "epsilon": 0.3, "weightDecay": 0.0},
]


def value(index, salt):
    """A number of (-1, 1) that fp32 holds exactly."""
    return round(math.sin(12.9898 * (index + 1) + 78.233 * salt) * 2**12) / 2**12


def values(shape, salt):
    count = math.prod(shape)
    return [value(i, salt) for i in range(count)]


def gradient(shape, step, salt):
    found = [2 * v for v in values(shape, 10 * step + salt)]
    if step == 2:
        found[0] = 0.0  # A weight without gradient.
    return found


def run(case, dtype):
    weights = {
        name: torch.nn.Parameter(torch.tensor(values(shape, i), dtype=dtype).reshape(shape))
        for i, (name, shape) in enumerate(SHAPES.items(), 1)
    }
    decay = case["weightDecay"]
    vector_decay = decay if case.get("decayNormAndBias", True) else 0.0
    factors = case.get("factors", {name: [1.0, 1.0] for name in SHAPES})
    groups = [
        {"params": [weights["kernel"]], "weight_decay": decay * factors["kernel"][1]},
        {"params": [weights["bias"]], "weight_decay": vector_decay * factors["bias"][1]},
    ]
    if case["kind"] == "sgd":
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=case["momentum"])
    else:
        optimizer = torch.optim.AdamW(groups, lr=0.1, betas=tuple(case["betas"]), eps=case["epsilon"])
    trace = []
    for step, rate in enumerate(RATES, 1):
        for i, (name, shape) in enumerate(SHAPES.items(), 1):
            weights[name].grad = torch.tensor(gradient(shape, step, i), dtype=dtype).reshape(shape)
        if "clipNorm" in case:
            torch.nn.utils.clip_grad_norm_(weights.values(), case["clipNorm"])
        for group, name in zip(optimizer.param_groups, SHAPES):
            group["lr"] = rate * factors[name][0]
        optimizer.step()
        trace.append({name: weight.detach().flatten().tolist() for name, weight in weights.items()})
    return trace


def main():
    cases = []
    for case in CASES:
        traces = {"float64": run(case, torch.float64), "float32": run(case, torch.float32)}
        cases.append({**case, **traces})
    start = {name: values(shape, i) for i, (name, shape) in enumerate(SHAPES.items(), 1)}
    gradients = [
        {name: gradient(shape, step, i) for i, (name, shape) in enumerate(SHAPES.items(), 1)}
        for step in range(1, STEPS + 1)
    ]
    content = {"torch": torch.__version__, "shapes": SHAPES, "rates": RATES, "start": start,
               "gradients": gradients, "cases": cases}
    path = pathlib.Path(__file__).with_name("expected.json")
    path.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
