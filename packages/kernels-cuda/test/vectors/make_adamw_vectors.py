"""Writes adamw.json beside itself: class centres that torch.optim.AdamW moves, in float64.

    pip install torch==2.13.0 numpy
    python make_adamw_vectors.py

The head is CosFace on autograd (scale 16, m3 3/16), whose whole logit matrix is made. Dense: the optimizer is given all centres. Sampled, as
arcface_torch's PartialFCAdamW does it: at each step the drawn rows with their two moments are a parameter of their own, with a `step` that
counts the updates of all rows, and are put back after it. (Its own count is one ahead of the number of updates: it adds one when it draws
and torch adds one when it steps. Here the count is the number of updates, as of a dense head.)

A step: embeddings [B, D], labels [B], sampled [n], and the state [C, D] after it. Nine digits give back an input of fp32 exactly.
"""

import json
import pathlib

import torch
from torch.nn.functional import cross_entropy, normalize, one_hot

HERE = pathlib.Path(__file__).parent
STEPS, BATCH, CLASSES, DIM = 5, 6, 11, 9
SCALE, MARGIN = 16.0, 0.1875
OPTIONS = {"lr": 2**-9, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.125}


def numbers(tensor, digits):
    return [float(f"{value:.{digits}g}") for value in tensor.flatten().tolist()]


def loss_of(embeddings, centers, labels):
    cosines = normalize(embeddings) @ normalize(centers).T
    return cross_entropy(SCALE * (cosines - MARGIN * one_hot(labels, len(centers))), labels)


def draw(generator, labels, count):
    """The positives, and other classes up to `count`; sorted."""
    positives = labels.unique()
    others = [c for c in torch.randperm(CLASSES, generator=generator).tolist() if c not in positives]
    return torch.tensor(sorted(positives.tolist() + others[: count - len(positives)]))


def run(generator, count):
    normal = lambda *shape: torch.randn(*shape, generator=generator).double()
    centers = normal(CLASSES, DIM)
    result = {"centers": numbers(centers, 9), "steps": []}
    first, second = torch.zeros_like(centers), torch.zeros_like(centers)
    for t in range(STEPS):
        embeddings, labels = normal(BATCH, DIM), torch.randint(CLASSES, (BATCH,), generator=generator)
        drawn = draw(generator, labels, count)
        active = torch.nn.Parameter(centers[drawn])
        optimizer = torch.optim.AdamW([active], **OPTIONS)
        optimizer.state[active] = {"step": torch.tensor(float(t)), "exp_avg": first[drawn], "exp_avg_sq": second[drawn]}
        local = torch.searchsorted(drawn, labels)
        loss_of(embeddings, active, local).backward()
        optimizer.step()
        state = optimizer.state[active]
        assert state["step"] == t + 1
        centers[drawn], first[drawn], second[drawn] = active.detach(), state["exp_avg"], state["exp_avg_sq"]
        result["steps"].append({
            "embeddings": numbers(embeddings, 9), "labels": labels.tolist(),
            "sampled": drawn.tolist() if count < CLASSES else None,
            "weights": numbers(centers, 12), "momentum": numbers(first, 12), "secondMoment": numbers(second, 12),
        })
    return result


def check_dense(generator):
    """A dense run is what one optimizer over all centres gives."""
    state = generator.get_state()
    result = run(generator, CLASSES)
    generator.set_state(state)
    centers = torch.nn.Parameter(torch.randn(CLASSES, DIM, generator=generator).double())
    optimizer = torch.optim.AdamW([centers], **OPTIONS)
    for step in result["steps"]:
        optimizer.zero_grad()
        embeddings = torch.tensor(step["embeddings"]).double().view(BATCH, DIM)
        loss_of(embeddings, centers, torch.tensor(step["labels"])).backward()
        optimizer.step()
        assert numbers(centers, 12) == step["weights"]
    return result


def main():
    generator = torch.Generator().manual_seed(29)
    cases = {"dense": check_dense(generator), "sampled": run(generator, 7)}
    drawn = [set(step["sampled"]) for step in cases["sampled"]["steps"]]
    assert drawn[-1] - drawn[0] - drawn[1], "a class that is drawn for the first time late"
    shape = {"batch": BATCH, "classes": CLASSES, "dim": DIM, "scale": SCALE, "m3": MARGIN}
    options = {"learningRate": OPTIONS["lr"], "betas": OPTIONS["betas"], "epsilon": OPTIONS["eps"],
               "weightDecay": OPTIONS["weight_decay"]}
    (HERE / "adamw.json").write_text(json.dumps({"torch": torch.__version__, **shape, "options": options, **cases}) + "\n")


if __name__ == "__main__":
    main()
