"""The products of an ArcFace head in Triton, in the manner of cut cross entropy: no logits in memory, recomputed for dW. Own code.

Both kernels keep a block of one operand and its sums on chip and stream the other operand past it, so nothing but the sums of `negatives` needs atomics.
Embeddings x are unit vectors in bf16, the bf16 copy of a class centre w goes with 1/|w|; products have fp32 sums. A sample's own class is left out of
both: its terms are fp32 (gpu_head.py). Under TRITON_INTERPRET=1 they run on the CPU, which only proves them.
"""

import torch
import triton
import triton.language as tl

INTERPRETED = triton.knobs.runtime.interpret if hasattr(triton, "knobs") else False


def configurations(*choices):
    """(samples, classes, warps, stages) to choose from, each within 227 KB of shared memory at D = 512; without a GPU there is nothing to time."""
    some = choices[:1] if INTERPRETED else choices
    return [triton.Config({"SAMPLES": b, "CLASSES": c}, num_warps=warps, num_stages=stages) for b, c, warps, stages in some]


WIDENED = tl.constexpr(INTERPRETED)


@triton.jit
def product(a, b, total):
    """total + a·b. The interpreter takes the bits of bf16 for integers, so that it gets the same numbers in fp32."""
    if WIDENED:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, total)


@triton.jit
def load_rows(pointer, first, count, D, ROWS: tl.constexpr, DIM: tl.constexpr):
    """Rows [first, first + ROWS) of [count, D] as [ROWS, DIM], zeros beyond."""
    rows = first + tl.arange(0, ROWS)
    columns = tl.arange(0, DIM)
    inside = (rows < count)[:, None] & (columns < D)[None, :]
    return tl.load(pointer + rows.to(tl.int64)[:, None] * D + columns[None, :], mask=inside, other=0.0)


@triton.autotune(
    configurations((64, 64, 8, 2), (64, 32, 8, 3), (64, 64, 4, 2), (64, 128, 8, 1)),
    key=["D"],
    reset_to_zero=["sums", "weighted"],
)
@triton.jit
def negatives_kernel(
    x, w, inverse, labels, sums, weighted, B, C, D, PER_SPLIT, scale, shift, DIM: tl.constexpr, SAMPLES: tl.constexpr, CLASSES: tl.constexpr
):
    """A block of samples against one share of the classes: adds e to sums [B], and e·w/|w| to weighted [B, D]."""
    first = tl.program_id(0) * SAMPLES
    start = tl.program_id(1) * PER_SPLIT
    end = tl.minimum(start + PER_SPLIT, C)
    samples = first + tl.arange(0, SAMPLES)
    own = tl.load(labels + samples, mask=samples < B, other=-1)
    mine = load_rows(x, first, B, D, SAMPLES, DIM)
    total = tl.zeros([SAMPLES], tl.float32)
    pull = tl.zeros([SAMPLES, DIM], tl.float32)
    for block in range(start, end, CLASSES):
        classes = block + tl.arange(0, CLASSES)
        theirs = load_rows(w, block, end, D, CLASSES, DIM)
        length = tl.load(inverse + classes, mask=classes < end, other=0.0)
        dots = product(mine, tl.trans(theirs), tl.zeros([SAMPLES, CLASSES], tl.float32))
        e = tl.exp(scale * dots * length[None, :] - shift)
        e = tl.where((classes < end)[None, :] & (classes[None, :] != own[:, None]), e, 0.0)
        total += tl.sum(e, 1)
        pull = product((e * length[None, :]).to(tl.bfloat16), theirs, pull)
    tl.atomic_add(sums + samples, total, mask=samples < B)
    columns = tl.arange(0, DIM)
    inside = (samples < B)[:, None] & (columns < D)[None, :]
    tl.atomic_add(weighted + samples[:, None] * D + columns[None, :], pull, mask=inside)


@triton.autotune(configurations((64, 64, 8, 2), (32, 64, 8, 3), (64, 64, 4, 2), (128, 64, 8, 1)), key=["D"])
@triton.jit
def gradient_kernel(
    x, w, inverse, labels, log_factor, gradient, first_class, B, C, D, scale, DIM: tl.constexpr, SAMPLES: tl.constexpr, CLASSES: tl.constexpr
):
    """A block of classes against all samples: gradient [C, D] of the cosines, exp(s·c + log_factor)ᵀ·x. Class 0 here is `first_class` of the labels."""
    first = tl.program_id(0) * CLASSES
    classes = first + tl.arange(0, CLASSES)
    mine = load_rows(w, first, C, D, CLASSES, DIM)
    length = tl.load(inverse + classes, mask=classes < C, other=0.0)
    pull = tl.zeros([CLASSES, DIM], tl.float32)
    for block in range(0, B, SAMPLES):
        samples = block + tl.arange(0, SAMPLES)
        theirs = load_rows(x, block, B, D, SAMPLES, DIM)
        own = tl.load(labels + samples, mask=samples < B, other=-1) - first_class
        factor = tl.load(log_factor + samples, mask=samples < B, other=float("-inf"))
        dots = product(mine, tl.trans(theirs), tl.zeros([CLASSES, SAMPLES], tl.float32))
        e = tl.exp(scale * dots * length[:, None] + factor[None, :])
        e = tl.where((samples < B)[None, :] & (classes[:, None] != own[None, :]), e, 0.0)
        pull = product(e.to(tl.bfloat16), theirs, pull)
    columns = tl.arange(0, DIM)
    inside = (classes < C)[:, None] & (columns < D)[None, :]
    tl.store(gradient + classes.to(tl.int64)[:, None] * D + columns[None, :], pull, mask=inside)


@triton.jit
def update_kernel(gradient, weight, velocity, copy, inverse, D, learning_rate, momentum, weight_decay, DIM: tl.constexpr):
    """One class: projection of its gradient, SGD with momentum, and the copy and the length that the next step reads."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, DIM)
    inside = columns < D
    at = row * D + columns
    w = tl.load(weight + at, mask=inside, other=0.0)
    g = tl.load(gradient + at, mask=inside, other=0.0)
    v = tl.load(velocity + at, mask=inside, other=0.0)
    length = tl.load(inverse + row)
    unit = w * length
    g = (g - tl.sum(g * unit, 0) * unit) * length
    v = momentum * v + g + weight_decay * w
    w -= learning_rate * v
    tl.store(velocity + at, v, mask=inside)
    tl.store(weight + at, w, mask=inside)
    tl.store(copy + at, w.to(tl.bfloat16), mask=inside)
    tl.store(inverse + row, 1 / tl.sqrt(tl.sum(w * w, 0)))


def negatives(x, w, inverse, labels, scale, shift):
    """Sums of e [B] and of e·w/|w| [B, D] over all classes but each sample's own, fp32."""
    (B, D), C = x.shape, len(w)
    sums = torch.zeros(B, device=x.device)
    weighted = torch.zeros(B, D, device=x.device)
    # About four programs a multiprocessor, so that the last ones to end cost little.
    processors = torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else 1
    splits = max(1, min(4 * processors * 64 // max(B, 64), triton.cdiv(C, 128)))
    per_split = triton.cdiv(triton.cdiv(C, splits), 128) * 128
    negatives_kernel[lambda chosen: (triton.cdiv(B, chosen["SAMPLES"]), triton.cdiv(C, per_split))](
        x, w, inverse, labels, sums, weighted, B, C, D, per_split, scale, shift, DIM=triton.next_power_of_2(D)
    )
    return sums, weighted


def update(x, labels, log_factor, state, gradient, first_class, scale, sgd):
    """Pass 2 of a chunk of classes, whose state (weight, velocity, copy, inverse) it changes; `gradient` is room for its rows."""
    weight, velocity, copy, inverse = state
    (B, D), C = x.shape, len(weight)
    gradient_kernel[lambda chosen: (triton.cdiv(C, chosen["CLASSES"]),)](
        x, copy, inverse, labels, log_factor, gradient, first_class, B, C, D, scale, DIM=triton.next_power_of_2(D)
    )
    update_kernel[(C,)](gradient, weight, velocity, copy, inverse, D, *sgd, DIM=triton.next_power_of_2(D), num_warps=4)
