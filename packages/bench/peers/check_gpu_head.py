"""Checks the peers of gpu_head.py against float64 autograd at a small size: loss, gradient of the embeddings, momentum and weights after two steps.

usage: check_gpu_head.py [cpu | cuda:0 [PROGRAM…]]. The margin's gradient is straight-through, as theirs. On the CPU triton-cce needs TRITON_INTERPRET=1, and
chunked-compiled a C++ compiler. Each part is held in relative norm and in its worst row.
"""

import sys

import torch
import torch.nn.functional as F

import gpu_head


def reference(weight, velocity, embeddings, labels):
    """Loss, dX, and the next weight and velocity, in float64."""
    x = embeddings.double().requires_grad_()
    w = weight.double().requires_grad_()
    cosines = F.normalize(x) @ F.normalize(w).T
    index = labels[:, None]
    moved = cosines.scatter(1, index, (gpu_head.margin(cosines.gather(1, index)) / gpu_head.SCALE).detach())
    # Straight-through: the value with the margin, the gradient of the plain cosine.
    straight = cosines + (moved - cosines).detach()
    loss = F.cross_entropy(gpu_head.SCALE * straight, labels)
    loss.backward()
    velocity = gpu_head.MOMENTUM * velocity.double() + w.grad + gpu_head.WEIGHT_DECAY * weight.double()
    return loss.detach(), x.grad, weight.double() - gpu_head.LEARNING_RATE * velocity, velocity


def errors_of(actual, expected):
    """Relative norm of the difference, and that of the worst row (rows below 1e-6 of the longest compare with it)."""
    difference = actual.double() - expected
    if expected.dim() < 2:
        return float(difference.norm() / expected.norm()), 0.0
    lengths = expected.norm(dim=1)
    rows = difference.norm(dim=1) / lengths.clamp_min(1e-6 * lengths.max())
    return float(difference.norm() / expected.norm()), float(rows.max())


# Against operands that are not rounded: an error of a cosine counts 64 times in the exponent, and so in the row of a class that one sample moves.
BOUNDS = {"loss": (2e-3, 0), "dX": (2e-2, 6e-2), "momentum": (2e-2, 0.25), "weights": (1e-4, 2e-4)}
# Sizes with tails of every tile, and one that fills them.
SIZES = [{"B": 24, "C": 301, "D": 64}, {"B": 70, "C": 333, "D": 100}, {"B": 128, "C": 512, "D": 128}]


def check(program, axes, device):
    head, batches = gpu_head.make_head({"axes": {**axes, "rate": 1}, "program": program}, torch.device(device))
    chunked = isinstance(head, gpu_head.Chunked)
    if chunked:
        head.chunk = min(head.chunk, 64)
    passed = True
    weight, velocity = head.weight.detach().clone(), torch.zeros_like(head.weight)
    for embeddings, labels in batches[:2]:
        # A planted near match, whose probability is not 0.
        embeddings[0] = 20 * weight[labels[0]] + 0.05 * embeddings[0]
        loss, gradient, next_weight, next_velocity = reference(weight, velocity, embeddings, labels)
        seen = head.step(embeddings, labels)
        found = head.velocity if chunked else head.optimizer.state[head.weight]["momentum_buffer"]
        parts = {
            "loss": errors_of(seen, loss),
            "dX": errors_of(head.embedding_gradient, gradient),
            "momentum": errors_of(found, next_velocity),
            "weights": errors_of(head.weight.detach(), next_weight),
        }
        good = all(value <= bound for name, pair in parts.items() for value, bound in zip(pair, BOUNDS[name]))
        passed = passed and good
        print(program, axes, {name: "%.1e, row %.1e" % pair for name, pair in parts.items()}, "ok" if good else "WRONG", flush=True)
        weight, velocity = head.weight.detach().clone(), found.detach().clone()
    return passed


def main():
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    passed = True
    for program in sys.argv[2:] or ["arcface-torch", "chunked", "chunked-compiled", "triton-cce"]:
        for axes in SIZES:
            try:
                passed = check(program, axes, device) and passed
            except gpu_head.Skip as reason:
                print(program, "SKIPPED:", reason)
                break
    sys.exit(0 if passed else 1)


main()
