"""Writes loss_vectors.json beside itself: values and gradients of other implementations that the losses must reproduce.

    pip install --no-deps torch==2.13.0 pytorch_metric_learning==2.9.0 numpy tqdm scikit-learn scipy ...
    python make_loss_vectors.py

In float64. Each case names its source: pytorch-metric-learning where it has the loss, else the paper's formula in PyTorch's own
operations with its automatic gradient. `differs` says where our definition is not the library's.
"""

import json
import pathlib
import platform

import pytorch_metric_learning
import torch
import torch.nn.functional as F
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import CircleLoss, ContrastiveLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
from pytorch_metric_learning.reducers import AvgNonZeroReducer, DoNothingReducer, MeanReducer

HERE = pathlib.Path(__file__).parent
BATCH, CLASSES, DIM = 12, 6, 5
PML = "pytorch-metric-learning "


def make_problem():
    generator = torch.Generator().manual_seed(2048)
    directions = torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 1])
    embeddings = 2 * directions[labels] + torch.randn(BATCH, DIM, generator=generator, dtype=torch.float64)
    embeddings[4] = 3 * embeddings[3] + 0.01 * embeddings[4]  # A near match.
    embeddings[9] = 1.5 * embeddings[0] + 0.1 * embeddings[9]  # Another identity beside it.
    centers = directions + 0.5 * torch.randn(CLASSES, DIM, generator=generator, dtype=torch.float64)
    biases = torch.randn(CLASSES, generator=generator, dtype=torch.float64)
    # Both sides must start from the same numbers, and ours are float32.
    return [part.float().double() for part in (embeddings, centers, biases)] + [labels]


def triplet(options, labels):
    distance = LpDistance(power=2 if options["distance"] == "squared" else 1, normalize_embeddings=options["normalize"])
    soft = options["margin"] == "soft"
    margin = 0 if soft else options["margin"]
    reducer = AvgNonZeroReducer() if options["average"] == "nonzero" else MeanReducer()
    loss = TripletMarginLoss(margin=margin, smooth_loss=soft, distance=distance, reducer=reducer)
    miners = {"batch-hard": lambda: BatchHardMiner(distance=distance),
              "semi-hard": lambda: TripletMarginMiner(margin=margin, type_of_triplets="semihard", distance=distance)}
    make_miner = miners.get(options["mining"])

    def run(embeddings):
        return loss(embeddings, labels, make_miner()(embeddings, labels) if make_miner else None)

    return run


def contrastive(options, labels):
    distance = LpDistance(normalize_embeddings=options["normalize"])
    loss = ContrastiveLoss(pos_margin=0, neg_margin=options["margin"], distance=distance, reducer=DoNothingReducer())

    def run(embeddings):
        parts = loss(embeddings, labels)
        hinges = torch.cat([parts["pos_loss"]["losses"], parts["neg_loss"]["losses"]])
        return 0.5 * (hinges**2).mean()

    return run


def sphere_face2(options, labels):
    def run(embeddings, centers, bias):
        one_hot = F.one_hot(labels, CLASSES).double()
        cosines = F.normalize(embeddings) @ F.normalize(centers).t()
        adjusted = 2 * ((cosines + 1) / 2) ** options["exponent"] - 1
        logits = options["scale"] * (adjusted - options["margin"] * (2 * one_hot - 1)) + bias
        weights = options["balance"] * one_hot + (1 - options["balance"]) * (1 - one_hot)
        entropies = F.binary_cross_entropy_with_logits(logits, one_hot, weight=weights / options["scale"], reduction="none")
        return entropies.sum(1).mean()

    return run


def uniface(options, labels):
    def run(embeddings, centers, bias):
        one_hot = F.one_hot(labels, CLASSES).double()
        cosines = F.normalize(embeddings) @ F.normalize(centers).t()
        logits = options["scale"] * (cosines - options["margin"] * one_hot) - bias
        weights = one_hot + options["balance"] * (1 - one_hot)
        return F.binary_cross_entropy_with_logits(logits, one_hot, weight=weights, reduction="none").sum(1).mean()

    return run


def case(loss, source, options, work, inputs, differs=""):
    leaves = {name: value.clone().requires_grad_(True) for name, value in inputs.items()}
    value = work(*leaves.values())
    value.backward()
    return {"loss": loss, "source": source, "differs": differs, "options": options, "value": value.item(),
            "inputs": list(leaves), "gradients": {name: leaf.grad.flatten().tolist() for name, leaf in leaves.items()}}


def main():
    embeddings, centers, biases, labels = make_problem()
    x, xw = {"embeddings": embeddings}, {"embeddings": embeddings, "centers": centers}
    xwb = {**xw, "bias": torch.tensor(1.5, dtype=torch.float64)}
    cases = []

    def add_triplet(mining, margin, distance, average, normalize=True, differs=""):
        options = {"mining": mining, "margin": margin, "distance": distance, "average": average, "normalize": normalize}
        cases.append(case("triplet", PML + "TripletMarginLoss", options, triplet(options, labels), x, differs))

    add_triplet("batch-all", 0.2, "squared", "all")
    add_triplet("batch-all", 0.3, "euclidean", "nonzero")
    add_triplet("batch-all", "soft", "euclidean", "all", normalize=False)
    add_triplet("batch-hard", 0.3, "euclidean", "all")
    add_triplet("batch-hard", 0.2, "squared", "nonzero")
    band = "the library's band includes both ends, ours neither; no triplet of the data is at one"
    add_triplet("semi-hard", 0.2, "squared", "all", differs=band)
    add_triplet("semi-hard", 0.3, "euclidean", "all", differs=band)

    form = "the library averages the hinges max(0, d) and max(0, m - d) of positives and of negatives apart; Hadsell's form is half the mean of their squares"
    for options in [{"margin": 1.0, "normalize": True}, {"margin": 3.0, "normalize": False}]:
        cases.append(case("contrastive", PML + "ContrastiveLoss", options, contrastive(options, labels), x, form))

    for options in [{"margin": 0.25, "scale": 256.0}, {"margin": 0.4, "scale": 80.0}]:
        circle = CircleLoss(m=options["margin"], gamma=options["scale"])
        average = "the library averages anchors with a loss above 0, ours those with a positive and a negative; the same ones here"
        cases.append(case("circle", PML + "CircleLoss", {**options, "gradient": "straight-through"}, lambda e: circle(e, labels), x, average))

    cases.append(case("softmax", "torch cross_entropy", {}, lambda e, w, b: F.cross_entropy(F.linear(e, w, b), labels), {**xw, "biases": biases}))
    options = {"balance": 0.7, "scale": 40.0, "margin": 0.4, "exponent": 3.0}
    cases.append(case("sphereface2", "torch binary_cross_entropy_with_logits", options, sphere_face2(options, labels), xwb,
                      "the authors' program multiplies by lw = 50"))
    options = {"scale": 64.0, "margin": 0.4, "balance": 0.5}
    cases.append(case("uniface", "torch binary_cross_entropy_with_logits", options, uniface(options, labels), xwb,
                      "the authors' program clamps logits to +-s"))
    options = {"weight": 0.25}
    cases.append(case("center", "torch", options, lambda e, w: 0.5 * 0.25 * ((e - w[labels]) ** 2).sum(1).mean(), xw))

    versions = {"python": platform.python_version(), "torch": torch.__version__,
                "pytorch_metric_learning": pytorch_metric_learning.__version__}
    problem = {"batch": BATCH, "classes": CLASSES, "dim": DIM, "labels": labels.tolist(), "bias": 1.5,
               "embeddings": embeddings.flatten().tolist(), "centers": centers.flatten().tolist(), "biases": biases.tolist()}
    vectors = {"versions": versions, "problem": problem, "cases": cases}
    (HERE / "loss_vectors.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
