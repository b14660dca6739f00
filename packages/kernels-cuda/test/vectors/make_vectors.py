"""Writes losses.json and sampler.json beside itself: values of other implementations that the reference must reproduce.

    pip install --no-deps torch==2.13.0 pytorch_metric_learning==2.9.0 numpy tqdm scikit-learn scipy ...
    python make_vectors.py

losses.json: loss, and its gradients with respect to embeddings and centres, in float64, of
  - pytorch-metric-learning's ArcFaceLoss and CosFaceLoss;
  - the semantics of insightface's arcface_torch (losses.py): the target logit cos(theta + m) computed under no_grad,
    so that its gradient is the plain scale.
sampler.json: docs/numerics.md's sampler, written here a second time on Python integers.
"""

import json
import math
import pathlib

import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss

from philox import philox4x32

HERE = pathlib.Path(__file__).parent
BATCH, CLASSES, DIM = 7, 6, 5


def make_problem():
    generator = torch.Generator().manual_seed(2048)
    embeddings = torch.randn(BATCH, DIM, generator=generator, dtype=torch.float64) * 3
    centers = torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 2])
    # Sample 1 stands beyond theta = pi - m of its centre; sample 2 is a near match.
    embeddings[1] = -2 * centers[1] + 0.2 * embeddings[1]
    embeddings[2] = 4 * centers[2] + 0.05 * embeddings[2]
    return embeddings, centers, labels


def run_pml(loss, embeddings, centers, labels):
    loss.W = torch.nn.Parameter(centers.t().clone())
    x = embeddings.clone().requires_grad_(True)
    value = loss(x, labels)
    value.backward()
    return value, x.grad, loss.W.grad.t()


def run_arcface_torch(scale, margin, embeddings, centers, labels):
    x = embeddings.clone().requires_grad_(True)
    w = centers.clone().requires_grad_(True)
    logits = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(w).t()
    rows = torch.arange(BATCH)
    with torch.no_grad():  # as losses.py does: logits.arccos_(), += margin, logits.cos_()
        moved = torch.cos(torch.arccos(logits[rows, labels]) + margin) - logits[rows, labels]
    shift = torch.zeros_like(logits)
    shift[rows, labels] = moved
    value = torch.nn.functional.cross_entropy((logits + shift) * scale, labels)
    value.backward()
    return value, x.grad, w.grad


def sample(classes, first_class, labels, rate, seed, step, shard):
    def key(j):
        counter = (j // 4, shard, step & 0xFFFFFFFF, step >> 32)
        return philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))[j % 4]

    positives = {y - first_class for y in labels if first_class <= y < first_class + classes}
    count = max(len(positives), math.floor(rate * classes + 0.5), 1)
    others = sorted((j for j in range(classes) if j not in positives), key=lambda j: (key(j), j))
    return sorted(positives | set(others[: count - len(positives)]))


def main():
    embeddings, centers, labels = make_problem()
    arc, cos = {"scale": 16.0, "m1": 1.0, "m2": 0.5, "m3": 0.0}, {"scale": 16.0, "m1": 1.0, "m2": 0.0, "m3": 0.35}
    degrees = 180 / math.pi
    cases = [
        ("pytorch-metric-learning ArcFaceLoss", {**arc, "fallback": "hard", "gradient": "exact"},
         run_pml(ArcFaceLoss(CLASSES, DIM, margin=0.5 * degrees, scale=16), embeddings, centers, labels)),
        ("pytorch-metric-learning CosFaceLoss", {**cos, "fallback": "none", "gradient": "exact"},
         run_pml(CosFaceLoss(CLASSES, DIM, margin=0.35, scale=16), embeddings, centers, labels)),
        ("arcface_torch ArcFace", {**arc, "fallback": "none", "gradient": "straight-through"},
         run_arcface_torch(16, 0.5, embeddings, centers, labels)),
    ]
    losses = {
        "classes": CLASSES, "dim": DIM, "embeddings": embeddings.flatten().tolist(), "centers": centers.flatten().tolist(),
        "labels": labels.tolist(),
        "cases": [
            {"name": name, "rule": rule, "loss": value.item(), "embeddingGradient": dx.flatten().tolist(),
             "centerGradient": dw.flatten().tolist()}
            for name, rule, (value, dx, dw) in cases
        ],
    }
    (HERE / "losses.json").write_text(json.dumps(losses, indent=1) + "\n")

    requests = [
        {"classes": 40, "firstClass": 0, "labels": [3, 17, 3], "rate": 0.25, "seed": 1, "step": 0, "shard": 0},
        {"classes": 40, "firstClass": 0, "labels": [3, 17, 3], "rate": 0.25, "seed": 1, "step": 1, "shard": 0},
        {"classes": 40, "firstClass": 40, "labels": [3, 41, 79], "rate": 0.25, "seed": 1, "step": 0, "shard": 1},
        {"classes": 101, "firstClass": 0, "labels": [], "rate": 0.1, "seed": 2**63 + 5, "step": 2**33 + 7, "shard": 3},
        {"classes": 8, "firstClass": 0, "labels": [0, 1, 2, 3, 4], "rate": 0.25, "seed": 9, "step": 2, "shard": 0},
        {"classes": 5, "firstClass": 10, "labels": [1, 2], "rate": 0.01, "seed": 9, "step": 2, "shard": 0},
        {"classes": 6, "firstClass": 0, "labels": [5], "rate": 0.25, "seed": 4, "step": 4, "shard": 0},
    ]
    samples = [
        {**request, "seed": str(request["seed"]), "step": str(request["step"]), "sampled": sample(
            request["classes"], request["firstClass"], request["labels"], request["rate"], request["seed"],
            request["step"], request["shard"])}
        for request in requests
    ]
    (HERE / "sampler.json").write_text(json.dumps(samples, indent=1) + "\n")


if __name__ == "__main__":
    main()
