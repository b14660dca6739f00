"""Checks the peers of gpu_head.py against float64 autograd at a small size: loss, gradient of the embeddings, momentum and weights after two steps.

usage: check_gpu_head.py [cpu | cuda:0]. The margin's gradient is straight-through, as theirs.
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


def error(actual, expected):
    return float((actual.double() - expected).norm() / expected.norm())


def main():
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    passed = True
    for program in ["arcface-torch", "chunked"] + (["chunked-compiled"] if device != "cpu" else []):
        axes = {"B": 24, "C": 301, "D": 64, "rate": 1}
        head, batches = gpu_head.make_head({"axes": axes, "program": program}, torch.device(device))
        if isinstance(head, gpu_head.Chunked):
            head.chunk = 64
        weight, velocity = head.weight.detach().clone(), torch.zeros_like(head.weight)
        for embeddings, labels in batches[:2]:
            # A planted near match, whose probability is not 0.
            embeddings[0] = 20 * weight[labels[0]] + 0.05 * embeddings[0]
            loss, gradient, next_weight, next_velocity = reference(weight, velocity, embeddings, labels)
            seen = head.step(embeddings, labels)
            found = head.velocity if isinstance(head, gpu_head.Chunked) else head.optimizer.state[head.weight]["momentum_buffer"]
            errors = {
                "loss": error(seen, loss),
                "dX": error(head.embedding_gradient, gradient),
                "momentum": error(found, next_velocity),
                "weights": error(head.weight.detach(), next_weight),
            }
            # bf16 operands, and bf16 products in the backward pass of autocast.
            good = errors["loss"] < 2e-3 and errors["dX"] < 2e-2 and errors["momentum"] < 2e-2 and errors["weights"] < 1e-4
            passed = passed and good
            print(program, {name: f"{value:.1e}" for name, value in errors.items()}, "ok" if good else "WRONG")
            weight, velocity = head.weight.detach().clone(), found.detach().clone()
    sys.exit(0 if passed else 1)


main()
