"""Writes heads.json beside itself: losses and gradients of margin heads, by PyTorch's autograd in float64.

    pip install --no-deps torch==2.13.0 pytorch_metric_learning==2.9.0 numpy tqdm scikit-learn scipy ...
    python make_head_vectors.py

Each head is written from its paper's formula, or from what the published program computes where that differs, and works on whole logit
matrices as those programs do; nothing is shared with the reference. pytorch-metric-learning stands beside it where it has the head.

A case gives the rule (and per-sample rows) that should reproduce it. Where a program lets the norm of the embedding into scale or margin,
`rowByNorm` [B, 4] is d(s, m1, m2, m3)/d||x||: its dX is then the one at fixed rows plus that times the rows' gradient, along x.
"""

import json
import math
import pathlib
import sys

import numpy
import pytorch_metric_learning
import torch
from pytorch_metric_learning.losses import CircleLoss, NormalizedSoftmaxLoss, SphereFaceLoss, SubCenterArcFaceLoss
from torch.nn.functional import cross_entropy, normalize

HERE = pathlib.Path(__file__).parent
BATCH, CLASSES, DIM = 10, 7, 5
SCALE = 12.0
ROWS = torch.arange(BATCH)
PLAIN = {"value": [0.0, 1.0, 0.0], "slope": [1.0, 0.0]}


def make_problem(sub_centers=1):
    generator = torch.Generator().manual_seed(2026)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    embeddings, centers = draw(BATCH, DIM) * 3, draw(CLASSES * sub_centers, DIM)
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 6, 2, 0, 5])
    own = normalize(centers[labels * sub_centers])
    # Two almost opposite to their centre, two near matches, one beside a wrong centre.
    embeddings[1] = -4 * own[1] + 0.05 * embeddings[1]
    embeddings[6] = -9 * own[6] + 0.5 * embeddings[6]
    embeddings[2] = 7 * own[2] + 0.1 * embeddings[2]
    embeddings[4] = 14 * own[4] + 0.3 * embeddings[4]
    embeddings[3] = 8 * normalize(centers[:1])[0] + 0.3 * embeddings[3]
    return embeddings, centers, labels


def rule(family="cosine", fallback="none", gradient="exact", scale=SCALE, m1=1.0, m2=0.0, m3=0.0, **more):
    return {"scale": scale, "m1": m1, "m2": m2, "m3": m3, "fallback": fallback, "gradient": gradient, "family": family, **more}


def negatives(threshold, value, slope, below=PLAIN):
    return {"threshold": threshold, "above": {"value": value, "slope": slope}, "below": below}


def with_target(logits, labels, target):
    """A copy of logits whose target column is `target`, which autograd follows."""
    return logits.scatter(1, labels.view(-1, 1), target.view(-1, 1))


# ---- Heads: functions of (x, w, labels) that give the logits [B, C], scale included ----


def cosines(x, w):
    return normalize(x) @ normalize(w).t()


def psi(theta, m):
    """SphereFace, eq. 7: (-1)^k cos(m theta) - 2k on [k pi/m, (k+1) pi/m]."""
    k = torch.floor(theta.detach() * m / math.pi)
    return (1 - 2 * torch.remainder(k, 2)) * torch.cos(m * theta) - 2 * k


def sphereface(m, annealing=0.0):
    def logits(x, w, labels):
        c = cosines(x, w)
        target = c[ROWS, labels]
        # The authors' annealing: (lambda cos + psi)/(1 + lambda).
        blended = (annealing * target + psi(torch.acos(target), m)) / (1 + annealing)
        return SCALE * with_target(c, labels, blended)

    return logits


def opensphere_sphereface(m):
    """OpenSphere computes psi under no_grad and adds the difference: the gradient is the plain cosine's."""

    def logits(x, w, labels):
        c = cosines(x, w)
        with torch.no_grad():
            target = c[ROWS, labels]
            moved = with_target(torch.zeros_like(c), labels, psi(torch.acos(target), m) - target)
        return SCALE * (c + moved)

    return logits


def curricularface(t_before, m=0.5):
    """The authors' program: t from the batch's mean target cosine before it is used; hard negatives c (t + c)."""

    def logits(x, w, labels):
        c = cosines(x, w)
        target = c[ROWS, labels]
        with torch.no_grad():
            t = 0.01 * target.mean() + 0.99 * t_before
        logits.t = t.item()
        moved = target * math.cos(m) - torch.sqrt(1 - target**2) * math.sin(m)
        hard = c > moved.view(-1, 1)
        final = torch.where(target > math.cos(math.pi - m), moved, target - math.sin(math.pi - m) * m)
        return SCALE * with_target(torch.where(hard, c * (t + c), c), labels, final)

    return logits


def mv_softmax(kind, weights, t=1.12):
    """MV-Softmax: 'arc' with the program's easy margin, 'am' as the paper has it (the program leaves targets below m unmoved)."""
    m = {"am": 0.35, "arc": 0.5}[kind]

    def logits(x, w, labels):
        c = cosines(x, w)
        target = c[ROWS, labels]
        moved = target - m if kind == "am" else target * math.cos(m) - torch.sqrt(1 - target**2) * math.sin(m)
        hard = c > moved.view(-1, 1)
        reweighted = t * c + t - 1 if weights == "adaptive" else c + t - 1
        final = moved if kind == "am" else torch.where(target > 0, moved, target)
        return SCALE * with_target(torch.where(hard, reweighted, c), labels, final)

    return logits


def x2_softmax(a=-0.9, h=0.0, k=0.65):
    def logits(x, w, labels):
        c = cosines(x, w)
        return SCALE * with_target(c, labels, a * (torch.acos(c[ROWS, labels]) - h) ** 2 + k)

    return logits


def circle(m, detached):
    """Circle loss with class centres as proxies: one positive a sample. The programs detach both weights."""

    def logits(x, w, labels):
        c = cosines(x, w)
        still = c.detach() if detached else c
        others = SCALE * torch.relu(still + m) * (c - m)
        target = SCALE * torch.relu(1 + m - still[ROWS, labels]) * (c[ROWS, labels] - (1 - m))
        return with_target(others, labels, target)

    return logits


def adaface(m=0.4, h=0.333, mean=7.0, std=2.5, t_alpha=0.01, eps=1e-3):
    """The authors' program after some training (mean and std of the norms given); both of its margins, its clip at 1e-3."""

    def logits(x, w, labels):
        c = cosines(x, w).clamp(-1 + eps, 1 - eps)
        with torch.no_grad():
            norms = x.norm(dim=1).clamp(0.001, 100)
            mean_now = t_alpha * norms.mean() + (1 - t_alpha) * mean
            std_now = t_alpha * norms.std() + (1 - t_alpha) * std
            k = (h * (norms - mean_now) / (std_now + eps)).clamp(-1, 1)
        logits.state = {"before": [mean, std], "after": [mean_now.item(), std_now.item()]}
        logits.rows = torch.stack([torch.full_like(k, SCALE), torch.ones_like(k), -m * k, m + m * k], dim=1)
        angles = torch.acos(c)
        shift = with_target(torch.zeros_like(c), labels, -m * k)
        moved = torch.cos((angles + shift).clamp(eps, math.pi - eps))
        return SCALE * (moved - with_target(torch.zeros_like(c), labels, m + m * k))

    return logits


def magface(easy, lower=(3.0, 0.2), upper=(12.0, 0.8)):
    """m(a) linear in the clamped norm a; the gradient flows through it. Without the norm's own regulariser."""
    (low_norm, low_margin), (high_norm, high_margin) = lower, upper
    slope = (high_margin - low_margin) / (high_norm - low_norm)

    def logits(x, w, labels):
        norms = x.norm(dim=1)
        m = slope * (norms.clamp(low_norm, high_norm) - low_norm) + low_margin
        inside = ((norms > low_norm) & (norms < high_norm)).double()
        zero, one = torch.zeros_like(m), torch.ones_like(m)
        logits.rows = torch.stack([SCALE * one, one, m.detach(), zero], dim=1)
        logits.row_by_norm = torch.stack([zero, zero, slope * inside, zero], dim=1)
        c = cosines(x, w)
        target = c[ROWS, labels]
        moved = target * torch.cos(m) - torch.sqrt(1 - target**2) * torch.sin(m)
        if easy:
            final = torch.where(target > 0, moved, target)
        else:
            final = torch.where(target > torch.cos(math.pi - m), moved, target - torch.sin(math.pi - m) * m)
        return SCALE * with_target(c, labels, final)

    return logits


def interclass_filter(threshold=0.4, m2=0.0, m3=0.0):
    """arcface_torch: negatives above the threshold times 0, then the target's margin, of which only its value is used."""

    def logits(x, w, labels):
        c = cosines(x, w)
        with torch.no_grad():
            keep = with_target((c <= threshold).double(), labels, torch.ones(BATCH, dtype=torch.float64))
            target = c[ROWS, labels]
            moved = with_target(torch.zeros_like(c), labels, torch.cos(torch.acos(target) + m2) - m3 - target)
        return SCALE * (keep * c + moved)

    return logits


def combined(rows):
    """cos(m1 theta + m2) - m3 with every sample's own four numbers, for their gradients."""

    def logits(x, w, labels):
        c = cosines(x, w)
        s, m1, m2, m3 = (rows[:, n] for n in range(4))
        target = torch.cos(m1 * torch.acos(c[ROWS, labels]) + m2) - m3
        return s.view(-1, 1) * with_target(c, labels, target)

    return logits


# ---- Running them ----


def by_autograd(logits_of, parameters=()):
    embeddings, centers, labels = make_problem()
    x, w = embeddings.requires_grad_(True), centers.requires_grad_(True)
    sample_loss = cross_entropy(logits_of(x, w, labels), labels, reduction="none")
    sample_loss.mean().backward()
    result = {"sampleLoss": sample_loss, "embeddingGradient": x.grad, "centerGradient": w.grad}
    return {**result, **({"rowGradient": parameters.grad} if len(parameters) else {})}


def by_library(loss, sub_centers=1):
    """A loss of pytorch-metric-learning that holds its centres as W [D, C K] or proxies [C, D]."""
    embeddings, centers, labels = make_problem(sub_centers)
    loss.W = torch.nn.Parameter(centers.t().clone())
    x = embeddings.requires_grad_(True)
    value = loss(x, labels)
    value.backward()
    return {"loss": value, "embeddingGradient": x.grad, "centerGradient": loss.W.grad.t()}


def by_circle_library(m, gamma):
    embeddings, centers, labels = make_problem()
    x, w = embeddings.requires_grad_(True), centers.requires_grad_(True)
    value = CircleLoss(m=m, gamma=gamma)(x, labels, ref_emb=w, ref_labels=torch.arange(CLASSES))
    value.backward()
    return {"loss": value, "embeddingGradient": x.grad, "centerGradient": w.grad}


def case(name, the_rule, result, **more):
    as_list = lambda value: value.detach().flatten().tolist() if isinstance(value, torch.Tensor) and value.dim() else value
    loss = result.get("loss", result.get("sampleLoss"))
    numbers = {key: as_list(value) for key, value in {**result, **more}.items() if key != "loss"}
    return {"name": name, "rule": the_rule, "loss": loss.mean().item(), **numbers}


def make_cases():
    embeddings, _, _ = make_problem()
    norms = embeddings.norm(dim=1)
    zeros, ones = torch.zeros(BATCH, dtype=torch.float64), torch.ones(BATCH, dtype=torch.float64)
    library = "pytorch-metric-learning "

    # SphereFaceLoss scales by ||x||·scale, and lets the gradient through.
    by_norm = 2.0
    sphere_rows = torch.stack([by_norm * norms, 4 * ones, zeros, zeros], dim=1)
    yield case(library + "SphereFaceLoss, m 4", rule("sphere", m1=4.0), by_library(SphereFaceLoss(CLASSES, DIM, margin=4, scale=by_norm)),
               rowParameters=sphere_rows, rowByNorm=torch.stack([by_norm * ones, zeros, zeros, zeros], dim=1))
    yield case(library + "NormalizedSoftmaxLoss", rule(), by_library(NormalizedSoftmaxLoss(CLASSES, DIM, temperature=1 / SCALE)))
    sub_centered = SubCenterArcFaceLoss(num_classes=CLASSES, embedding_size=DIM, margin=0.5 * 180 / math.pi, scale=SCALE, sub_centers=3)
    yield case(library + "SubCenterArcFaceLoss, K 3", rule(fallback="hard", m2=0.5), by_library(sub_centered, 3), subCenters=3)
    circle_negatives = lambda slope: negatives(-0.25, [-0.0625, 0.0, 1.0], slope, {"value": [0.0, 0.0, 0.0], "slope": [0.0, 0.0]})
    detached = rule("circle", gradient="straight-through", m2=0.25, negatives=circle_negatives([0.25, 1.0]))
    # PyTorch's softplus is linear from 20 on: a scale that stays below.
    yield case(library + "CircleLoss with centres as references", {**detached, "scale": 3.0}, by_circle_library(0.25, 3.0))

    yield case("Circle loss as programmed, m 0.25", detached, by_autograd(circle(0.25, True)))
    yield case("Circle loss, its true gradient", rule("circle", m2=0.25, negatives=circle_negatives([0.0, 2.0])), by_autograd(circle(0.25, False)))
    yield case("SphereFace, m 4", rule("sphere", m1=4.0), by_autograd(sphereface(4)))
    yield case("SphereFace, m 4, lambda 5", rule("sphere", m1=4.0, blend=1 / 6), by_autograd(sphereface(4, 5.0)))
    yield case("SphereFace, m 1.7", rule("sphere", m1=1.7), by_autograd(sphereface(1.7)))
    yield case("OpenSphere's SphereFace, m 1.7", rule("sphere", m1=1.7, gradient="straight-through"), by_autograd(opensphere_sphereface(1.7)))
    for t_before in (0.0, 0.35):
        head = curricularface(t_before)
        result = by_autograd(head)
        hard = negatives("target", [0.0, head.t, 1.0], [head.t, 2.0])
        yield case(f"CurricularFace, t {t_before} before", rule(fallback="hard", m2=0.5, negatives=hard), result, t=[t_before, head.t])
    for weights, value, slope in (("fixed", [0.12, 1.0, 0.0], [1.0, 0.0]), ("adaptive", [0.12, 1.12, 0.0], [1.12, 0.0])):
        hard = negatives("target", value, slope)
        yield case(f"MV-AM-Softmax, {weights}", rule(m3=0.35, negatives=hard), by_autograd(mv_softmax("am", weights)))
        yield case(f"MV-Arc-Softmax, {weights}", rule(fallback="easy", m2=0.5, negatives=hard), by_autograd(mv_softmax("arc", weights)))
    yield case("X2-Softmax", rule("quadratic", m1=0.9, m3=-0.65), by_autograd(x2_softmax()))
    yield case("X2-Softmax, h 0.2", rule("quadratic", m1=0.9, m2=0.2, m3=-0.65), by_autograd(x2_softmax(h=0.2)))
    head = adaface()
    result = by_autograd(head)
    yield case("AdaFace", rule(fallback="clip", clipRadians=1e-3), result, rowParameters=head.rows, state=head.state)
    for easy in (True, False):
        head = magface(easy)
        result = by_autograd(head)
        yield case(f"MagFace, {'easy' if easy else 'hard'} margin", rule(fallback="easy" if easy else "hard"), result,
                   rowParameters=head.rows, rowByNorm=head.row_by_norm)
    filtered = negatives(0.4, [0.0, 0.0, 0.0], [0.0, 0.0])
    for name, margin in (("ArcFace", {"m2": 0.5}), ("CosFace", {"m3": 0.4})):
        yield case(f"arcface_torch {name} with its inter-class filter", rule(gradient="straight-through", negatives=filtered, **margin),
                   by_autograd(interclass_filter(**margin)))
    generator = torch.Generator().manual_seed(7)
    spread = torch.rand(BATCH, 4, generator=generator, dtype=torch.float64)
    rows = (torch.tensor([8.0, 0.8, -0.2, -0.1]) + torch.tensor([8.0, 0.5, 0.7, 0.4]) * spread).requires_grad_(True)
    yield case("combined margin, by every sample's own numbers", rule(), by_autograd(combined(rows), rows), rowParameters=rows)


def main():
    problems = {str(k): make_problem(k) for k in (1, 3)}
    vectors = {
        "versions": {"python": sys.version.split()[0], "numpy": numpy.__version__, "torch": torch.__version__,
                     "pytorch_metric_learning": pytorch_metric_learning.__version__},
        "classes": CLASSES, "dim": DIM, "labels": problems["1"][2].tolist(),
        "problems": {k: {"embeddings": x.flatten().tolist(), "centers": w.flatten().tolist()} for k, (x, w, _) in problems.items()},
        "cases": list(make_cases()),
    }
    (HERE / "heads.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
