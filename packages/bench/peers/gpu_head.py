"""Peers on a GPU: one step of an ArcFace head (loss, gradient of the embeddings, SGD update of the class centres) in PyTorch. Own code.

arcface-torch     partial_fc_v2 as arcface_torch defines it: fp32 centres, normalised, cosines [B, C] of a product under bf16 autocast, clamped in fp32;
                  the target's cosine becomes cos(theta + m) outside the tape; softmax in place; autograd; torch.optim.SGD. It replaces the targets
                  alone, where arcface_torch takes acos and cos of all logits: in the peer's favour.
chunked           no matrix [B, C]: chunks of classes, bf16 products with fp32 sums, two passes, update by chunk. Our algorithm in PyTorch's operations.
chunked-compiled  the same under torch.compile.
triton-cce        the same passes as two Triton kernels, in the manner of cut cross entropy (triton_cce.py): neither logits nor their exponentials in memory,
                  then the update as a third. Blocks, warps and stages are chosen by timing them.
cut-cross-entropy cut_cross_entropy's own Triton kernels where they can be imported (no margin: they know none), autograd, torch.optim.SGD.

Speaks the protocol of ../src/gpu/protocol.ts. Inputs lie on the device already, which is in the peers' favour too. On the CPU it only proves that it works.
"""

import json
import sys
import time


def reply(**fields):
    print(json.dumps(fields), flush=True)


class Skip(Exception):
    pass


try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    reply(kind="skip", reason=f"{sys.executable} cannot import torch ({error}); name one that can in HYPERARC_PYTHON")
    sys.exit(0)

SCALE = 64.0
MARGIN_RADIANS = 0.5
# As src/programs/program.ts: small, so that the few batches are not learnt by heart meanwhile.
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-5, 0.9, 5e-4


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
        probabilities.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -1.0, dtype=probabilities.dtype))
        return probabilities.mul_(gradient / len(labels)), None


def margin(cosine):
    return SCALE * torch.cos(torch.acos(cosine) + MARGIN_RADIANS)


def as_fp32_linear(embeddings, weight):
    with torch.autocast(embeddings.device.type, dtype=torch.bfloat16):
        return F.linear(F.normalize(embeddings), F.normalize(weight)).float()


class ArcFaceTorch:
    """The matrix [B, C] in memory; autograd; torch.optim.SGD."""

    copies = 0

    def __init__(self, weight, rate):
        self.rate = rate
        self.weight = torch.nn.Parameter(weight)
        self.optimizer = torch.optim.SGD([self.weight], LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)

    def step(self, embeddings, labels):
        if self.rate != 1:
            raise Skip("partial FC is not part of the GPU peers")
        embeddings = embeddings.detach().requires_grad_()
        loss = self.loss(embeddings, labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.embedding_gradient = embeddings.grad
        return loss.detach()

    def loss(self, embeddings, labels):
        cosines = as_fp32_linear(embeddings, self.weight).clamp(-1, 1)
        with torch.no_grad():
            target = cosines.gather(1, labels[:, None])
            cosines.scatter_(1, labels[:, None], margin(target) / SCALE)
        loss, _ = SoftmaxCrossEntropy.apply(cosines * SCALE, labels)
        return loss


class CutCrossEntropy(ArcFaceTorch):
    def __init__(self, weight, rate):
        super().__init__(weight, rate)
        try:
            from cut_cross_entropy import linear_cross_entropy
        except Exception as error:  # noqa: BLE001: whatever stops the import is the reason
            raise Skip(f"cut_cross_entropy cannot be imported ({error})") from error
        self.function = linear_cross_entropy

    def loss(self, embeddings, labels):
        x = (SCALE * F.normalize(embeddings)).bfloat16()
        # No gradient is filtered away: so it computes what the others compute.
        return self.function(x, F.normalize(self.weight).bfloat16(), labels, filter_eps=None)


def tangent(vectors, units):
    return vectors - (vectors * units).sum(1, keepdim=True) * units


def without_targets(weights, local):
    """weights [B, n] with 0 for each sample's own class, which is column `local` of the chunk where it lies in [0, n)."""
    index = local.clamp(0, weights.shape[1] - 1)[:, None]
    is_here = (local >= 0) & (local < weights.shape[1])
    return weights.scatter(1, index, torch.where(is_here[:, None], 0.0, weights.gather(1, index)))


def negatives_of_chunk(x16, chunk, inverse, local, shift):
    """Sums of one chunk of classes: e [B] and e·ŵ [B, D], fp32."""
    weights = without_targets(torch.exp(SCALE * (x16 @ chunk.T).float() * inverse - shift), local)
    return weights.sum(1), ((weights * inverse).bfloat16() @ chunk).float()


def update_chunk(x16, chunk, inverse, weight, velocity, local, log_factor):
    """Pass 2 of one chunk, without the terms of targets: dW, projection, momentum, weights, copies; all in place."""
    weights = without_targets(torch.exp(SCALE * (x16 @ chunk.T).float() * inverse + log_factor[:, None]), local)
    gradient = tangent((weights.bfloat16().T @ x16).float(), weight * inverse[:, None]) * inverse[:, None]
    velocity.mul_(MOMENTUM).add_(gradient).add_(weight, alpha=WEIGHT_DECAY)
    weight.sub_(velocity, alpha=LEARNING_RATE)
    chunk.copy_(weight)
    inverse.copy_(1 / weight.norm(dim=1))


class Chunked:
    """Two passes over chunks of classes, fp32 master with a bf16 copy."""

    copies = 1

    def __init__(self, weight, rate, compiled=False):
        if rate != 1:
            raise Skip("partial FC is not part of the GPU peers")
        self.weight = weight
        self.velocity = torch.zeros_like(weight)
        self.copy = weight.bfloat16()
        self.inverse = 1 / weight.norm(dim=1)
        wrap = torch.compile if compiled else (lambda function: function)
        self.negatives, self.update = wrap(negatives_of_chunk), wrap(update_chunk)
        self.chunk = min(32768, len(weight))

    def negative_sums(self, x16, labels, shift):
        """Sums over all classes but each sample's own: e [B] and e·ŵ [B, D]."""
        sums, weighted = torch.zeros(x16.shape[0], device=x16.device), torch.zeros(x16.shape, device=x16.device)
        for part in self.chunks():
            e, u = self.negatives(x16, self.copy[part], self.inverse[part], labels - part.start, shift)
            sums += e
            weighted += u
        return sums, weighted

    def update_rows(self, x16, labels, log_factor):
        for part in self.chunks():
            self.update(
                x16,
                self.copy[part],
                self.inverse[part],
                self.weight[part],
                self.velocity[part],
                labels - part.start,
                log_factor,
            )

    def chunks(self):
        for start in range(0, len(self.weight), self.chunk):
            yield slice(start, start + self.chunk)

    @torch.no_grad()
    def step(self, embeddings, labels):
        lengths = embeddings.norm(dim=1, keepdim=True)
        x = embeddings / lengths
        x16 = x.bfloat16()
        # A fixed shift: cosines are at most 1 (docs/numerics.md).
        shift = max(0.0, SCALE + float(torch.log(torch.tensor(float(len(self.weight))))) - 87.0)
        sums, weighted = self.negative_sums(x16, labels, shift)
        # The target is fp32.
        inverse = self.inverse[labels][:, None]
        unit = self.weight[labels] * inverse
        target = margin((x * unit).sum(1).clamp(-1, 1))
        log_sums = torch.log(sums) + shift
        sample_loss = F.softplus(log_sums - target)
        error = 1 - torch.exp(-sample_loss)
        gradient = (error / sums)[:, None] * weighted - error[:, None] * unit
        self.embedding_gradient = tangent(SCALE * gradient / len(labels), x) / lengths

        # Pass 2: the gradient of a chunk is exp(s·c + log_factor)ᵀ·x̂; that of the targets is in the velocity before it.
        factor = SCALE / len(labels) * error
        own = tangent(-factor[:, None] * x, unit) * inverse
        self.velocity.index_add_(0, labels, own / MOMENTUM)
        self.update_rows(x16, labels, torch.log(factor) - log_sums)
        return sample_loss.mean()


class TritonCce(Chunked):
    """The passes of Chunked as Triton kernels. A chunk's gradient is in memory between its two kernels of pass 2."""

    def __init__(self, weight, rate):
        super().__init__(weight, rate)
        try:
            import triton_cce
        except Exception as error:  # noqa: BLE001: whatever stops the import is the reason
            raise Skip(f"triton cannot be imported ({error})") from error
        if weight.device.type == "cpu" and not triton_cce.INTERPRETED:
            raise Skip("Triton has kernels for a GPU alone; TRITON_INTERPRET=1 tries them on the CPU")
        self.kernels = triton_cce
        self.chunk = min(131072, len(weight))
        self.gradient = torch.empty(self.chunk, weight.shape[1], device=weight.device)

    def negative_sums(self, x16, labels, shift):
        return self.kernels.negatives(x16, self.copy, self.inverse, labels, SCALE, shift)

    def update_rows(self, x16, labels, log_factor):
        sgd = (LEARNING_RATE, MOMENTUM, WEIGHT_DECAY)
        for part in self.chunks():
            state = (self.weight[part], self.velocity[part], self.copy[part], self.inverse[part])
            self.kernels.update(x16, labels, log_factor, state, self.gradient, part.start, SCALE, sgd)


PROGRAMS = {
    "arcface-torch": ArcFaceTorch,
    "chunked": Chunked,
    "chunked-compiled": lambda weight, rate: Chunked(weight, rate, compiled=True),
    "triton-cce": TritonCce,
    "cut-cross-entropy": CutCrossEntropy,
}


def make_head(specification, device):
    """The head of a specification, on random centres, and random batches in rotation."""
    axes = specification["axes"]
    generator = torch.Generator(device).manual_seed(2048)
    weight = torch.empty(axes["C"], axes["D"], device=device).normal_(0, 0.01, generator=generator)
    batches = [
        (
            torch.randn(axes["B"], axes["D"], device=device, generator=generator),
            torch.randint(0, axes["C"], (axes["B"],), device=device, generator=generator),
        )
        for _ in range(4)
    ]
    return PROGRAMS[specification["program"]](weight, axes["rate"]), batches


def main():
    specification = json.loads(sys.argv[-1])
    axes = specification["axes"]
    device = torch.device(specification["device"])
    is_cuda = device.type == "cuda"
    if is_cuda and not torch.cuda.is_available():
        raise Skip(f"torch {torch.__version__} sees no CUDA device")
    head, batches = make_head(specification, device)
    name = torch.cuda.get_device_name(device) if is_cuda else "CPU"
    reply(kind="ready", facts={"device": name, "torch": torch.__version__, "clock": "device events" if is_cuda else "wall clock"})
    iteration, loss = 0, torch.tensor(0.0)
    for line in sys.stdin:
        device_ms, wall_ms = [], []
        for _ in range(json.loads(line)["iterations"]):
            embeddings, labels = batches[iteration % len(batches)]
            start = time.perf_counter()
            if is_cuda:
                begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                begin.record()
            loss = head.step(embeddings, labels)
            if is_cuda:
                end.record()
                torch.cuda.synchronize()
            wall_ms.append(1e3 * (time.perf_counter() - start))
            device_ms.append(begin.elapsed_time(end) if is_cuda else wall_ms[-1])
            iteration += 1
        reply(kind="samples", deviceMs=device_ms, wallMs=wall_ms)
    loss = float(loss)
    assert 0 <= loss < float("inf"), loss
    elements = axes["C"] * axes["D"]
    copy_bytes = head.copies * 2 * elements
    taken = {"extraBytes": torch.cuda.max_memory_allocated(device) - 8 * elements - copy_bytes} if is_cuda else {}
    reply(kind="done", copyBytes=copy_bytes, facts={"loss": loss}, **taken)


if __name__ == "__main__":
    try:
        main()
    except Skip as reason:
        reply(kind="skip", reason=str(reason))
