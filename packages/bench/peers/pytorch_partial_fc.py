"""Peer: one step of a partial-FC ArcFace head in PyTorch on the CPU, as InsightFace's arcface_torch defines it.

Own code after the described semantics: class centres [C, D] ~ N(0, 0.01) in fp32; a step samples max(positives, r·C) rows (all for r = 1),
normalises embeddings and rows, takes the cosines, clamps them to [-1, 1], replaces each target cosine by cos(theta + m) outside the autograd tape
(straight-through gradient), multiplies by s, cross entropy whose softmax overwrites the logits, back-propagates to embeddings and rows, and updates
by SGD with momentum and weight decay.

Speaks the protocol of src/protocol.ts: the specification is the last argument; lines of JSON on standard input and output.
"""

import json
import resource
import sys
import time


def reply(**fields):
    print(json.dumps(fields), flush=True)


def resident_bytes(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    reply(kind="skip", reason=f"{sys.executable} cannot import torch ({error}); name one that can in HYPERARC_PYTHON")
    sys.exit(0)

SCALE = 64.0
MARGIN_RADIANS = 0.5
# Small, so that the few batches are not learnt by heart meanwhile (src/programs/program.ts).
SGD = {"lr": 1e-5, "momentum": 0.9, "weight_decay": 5e-4}


class SoftmaxCrossEntropy(torch.autograd.Function):
    """Mean cross entropy; logits [B, C] become the probabilities in place, and the gradient takes the same memory."""

    @staticmethod
    def forward(context, logits, labels):
        logits.sub_(logits.max(dim=1, keepdim=True).values).exp_()
        logits.div_(logits.sum(dim=1, keepdim=True))
        target = logits.gather(1, labels[:, None])
        context.save_for_backward(logits, labels)
        context.mark_dirty(logits)
        return target.clamp_min(1e-30).log().mean().neg(), logits

    @staticmethod
    def backward(context, gradient, _):
        probabilities, labels = context.saved_tensors
        probabilities.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -1.0, dtype=torch.float32))
        return probabilities.mul_(gradient / len(labels)), None


def arc_face(cosines, labels):
    with torch.no_grad():
        index = labels[:, None]
        target = cosines.gather(1, index)
        cosines.scatter_(1, index, torch.cos(torch.acos(target) + MARGIN_RADIANS))
    return cosines * SCALE


class Head:
    def __init__(self, classes, dim, rate):
        self.classes, self.rate = classes, rate
        self.weight = torch.normal(0, 0.01, (classes, dim))
        self.momentum = torch.zeros_like(self.weight)

    def sample(self, labels):
        """Sorted class indices that take part, and the labels among them."""
        positive = labels.unique()
        wanted = int(self.rate * self.classes)
        if wanted <= len(positive):
            index = positive
        else:
            keys = torch.rand(self.classes)
            keys[positive] = 2.0
            index = keys.topk(wanted).indices.sort().values
        return index, torch.searchsorted(index, labels)

    def step(self, embeddings, labels):
        embeddings = embeddings.detach().requires_grad_()
        index = None
        weight, momentum = self.weight, self.momentum
        if self.rate < 1:
            index, labels = self.sample(labels)
            weight, momentum = weight[index], momentum[index]
        weight.requires_grad_()
        cosines = F.linear(F.normalize(embeddings), F.normalize(weight)).clamp(-1, 1)
        loss, _ = SoftmaxCrossEntropy.apply(arc_face(cosines, labels), labels)
        loss.backward()
        with torch.no_grad():
            gradient = weight.grad.add_(weight, alpha=SGD["weight_decay"])
            momentum.mul_(SGD["momentum"]).add_(gradient)
            weight.sub_(momentum, alpha=SGD["lr"])
            weight.grad = None
            weight.requires_grad_(False)
            if index is not None:
                self.weight[index] = weight
                self.momentum[index] = momentum
        assert embeddings.grad is not None
        return loss.item()


def main():
    specification = json.loads(sys.argv[-1])
    axes = specification["axes"]
    if axes["K"] != 1:
        reply(kind="skip", reason="sub-centres are not part of this peer")
        return
    torch.set_num_threads(specification["threads"])
    torch.manual_seed(2048)
    batches = [
        (torch.randn(axes["B"], axes["D"]), torch.randint(0, axes["C"], (axes["B"],))) for _ in range(4)
    ]
    head = Head(axes["C"], axes["D"], axes["rate"])
    reply(
        kind="ready",
        facts={"python": sys.version.split()[0], "torch": torch.__version__, "cpuCapability": torch.backends.cpu.get_cpu_capability()},
    )
    iteration, loss = 0, 0.0
    for line in sys.stdin:
        elapsed, cpu = [], []
        for _ in range(json.loads(line)["iterations"]):
            used = resource.getrusage(resource.RUSAGE_SELF)
            start = time.perf_counter_ns()
            loss = head.step(*batches[iteration % len(batches)])
            elapsed.append((time.perf_counter_ns() - start) / 1e6)
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu.append(1e3 * (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime))
            iteration += 1
        reply(kind="samples", elapsedMs=elapsed, cpuMs=cpu)
    assert 0 <= loss < float("inf"), loss
    reply(kind="done", peakBytes=resident_bytes("VmHWM"), facts={"loss": loss})


main()
