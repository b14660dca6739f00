"""Peer: the processor's own matrix multiplication, OpenBLAS sgemm, on the four products of a head step.

An iteration runs [B, D]·[D, C] twice (logits in both passes), [B, C]·[C, D] (gradient of the embeddings) and [C, B]·[B, D] (gradient of the
centres), 4·2·B·C·D operations, over blocks of classes whose operands stay in the cache as an engine's would; or square products, about as many
operations. Whatever has the highest rate on this machine is chosen first and named in the record. Needs no NumPy: OpenBLAS is loaded
through ctypes, from the system (libopenblas.so.0) or from a NumPy wheel, the faster of those found, or the file that HYPERARC_OPENBLAS names.
OpenBLAS older than the processor may not know it and take slower kernels than it has: with AVX-512 its AVX-512 kernels (SkylakeX) are asked for,
unless OPENBLAS_CORETYPE says otherwise.

Speaks the protocol of src/protocol.ts: the specification is the last argument; lines of JSON on standard input and output.
"""

import array
import ctypes
import glob
import importlib.util
import json
import os
import random
import resource
import sys
import time

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


def reply(**fields):
    print(json.dumps(fields), flush=True)


def resident_bytes(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


class OpenBlas:
    """One loaded library; NumPy's wheels rename the symbols and use 64-bit integers."""

    def __init__(self, path, threads):
        library = ctypes.CDLL(path)
        variants = [("", "", ctypes.c_int), ("scipy_", "64_", ctypes.c_int64), ("", "64_", ctypes.c_int64)]
        for prefix, suffix, integer in variants:
            if hasattr(library, f"{prefix}cblas_sgemm{suffix}"):
                break
        else:
            raise OSError(f"{path} has no cblas_sgemm")
        self.path = path
        self.gemm = getattr(library, f"{prefix}cblas_sgemm{suffix}")
        single, pointer, order = ctypes.c_float, ctypes.c_void_p, ctypes.c_int
        self.gemm.argtypes = [order] * 3 + [integer] * 3 + [single, pointer, integer, pointer, integer, single, pointer, integer]
        self.gemm.restype = None
        getattr(library, f"{prefix}openblas_set_num_threads{suffix}")(threads)
        describe = getattr(library, f"{prefix}openblas_get_config{suffix}")
        describe.restype = ctypes.c_char_p
        self.description = describe().decode()
        corename = getattr(library, f"{prefix}openblas_get_corename{suffix}")
        corename.restype = ctypes.c_char_p
        self.core = corename().decode()

    def multiply(self, left, right, out, rows, columns, inner, left_transposed=False, right_transposed=False):
        """out[rows, columns] = left·right; addresses of dense row-major fp32."""
        self.gemm(
            ROW_MAJOR,
            TRANSPOSED if left_transposed else PLAIN,
            TRANSPOSED if right_transposed else PLAIN,
            rows,
            columns,
            inner,
            1.0,
            left,
            rows if left_transposed else inner,
            right,
            inner if right_transposed else columns,
            0.0,
            out,
            columns,
        )


def find_libraries(threads):
    if "HYPERARC_OPENBLAS" in os.environ:
        return [OpenBlas(os.environ["HYPERARC_OPENBLAS"], threads)]
    paths = ["libopenblas.so.0"]
    numpy = importlib.util.find_spec("numpy")
    if numpy is not None:
        beside = os.path.join(os.path.dirname(os.path.dirname(numpy.origin)), "numpy.libs", "lib*openblas*.so*")
        paths += glob.glob(beside)
    found = []
    for path in paths:
        try:
            found.append(OpenBlas(path, threads))
        except OSError:
            pass
    return found


def random_floats(count):
    """`count` values in [-1, 1), not all different: a random block of 2^18 is repeated."""
    block = array.array("f", (random.uniform(-1, 1) for _ in range(min(count, 1 << 18))))
    values = array.array("f", block * (count // len(block) + 1))
    return values[:count]


class Step:
    """The four products of a head step over blocks of `block` classes."""

    def __init__(self, batch, classes, dim):
        self.batch, self.classes, self.dim = batch, classes, dim
        self.embeddings = random_floats(batch * dim)
        self.centers = random_floats(classes * dim)
        self.logits = random_floats(batch * classes)
        self.out = random_floats(max(batch, classes) * dim)

    def run(self, blas, block):
        x, w, e, out = (values.buffer_info()[0] for values in (self.embeddings, self.centers, self.logits, self.out))
        b, d = self.batch, self.dim
        for first in range(0, self.classes, block):
            c = min(block, self.classes - first)
            centers, gradient = w + 4 * first * d, out + 4 * first * d
            blas.multiply(x, centers, e, b, c, d, right_transposed=True)
            blas.multiply(e, centers, out, b, d, c)
            blas.multiply(x, centers, e, b, c, d, right_transposed=True)
            blas.multiply(e, x, gradient, c, d, b, left_transposed=True)


class Squares:
    """Products of square matrices that stay in the last-level cache, about as many operations as `flops`."""

    SIDE = 1024

    def __init__(self, flops):
        self.count = max(1, round(flops / (2 * self.SIDE**3)))
        self.left, self.right, self.out = (random_floats(self.SIDE**2) for _ in range(3))

    @property
    def flops(self):
        return self.count * 2 * self.SIDE**3

    def run(self, blas):
        left, right, out = (values.buffer_info()[0] for values in (self.left, self.right, self.out))
        for _ in range(self.count):
            blas.multiply(left, right, out, self.SIDE, self.SIDE, self.SIDE)


def prefer_avx512_kernels():
    with open("/proc/cpuinfo") as cpuinfo:
        flags = next((line.split() for line in cpuinfo if line.startswith("flags")), [])
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= set(flags):
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")


def timed(work):
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e6


def main():
    specification = json.loads(sys.argv[-1])
    axes = specification["axes"]
    prefer_avx512_kernels()
    libraries = find_libraries(specification["threads"])
    if not libraries:
        reply(kind="skip", reason="no OpenBLAS found (apt-get install libopenblas0, or a NumPy wheel in HYPERARC_PYTHON)")
        return
    random.seed(1)
    batch, classes, dim = axes["B"], axes["C"], axes["D"]
    step = Step(batch, classes, dim)
    squares = Squares(4 * 2 * batch * classes * dim)
    # Chosen on a tenth of the classes: best of five for every library, block and the squares.
    sample = Step(batch, min(classes, max(4096, classes // 10)), dim)
    few_squares = Squares(4 * 2 * batch * sample.classes * dim)
    blocks = sorted({min(block, sample.classes) for block in (512, 1024, 2048, 4096)} | {sample.classes})
    choices = []
    for blas in libraries:
        for block in blocks:
            elapsed = min(timed(lambda: sample.run(blas, block)) for _ in range(5))
            choices.append((4 * 2 * batch * sample.classes * dim / elapsed / 1e6, blas, block))
        elapsed = min(timed(lambda: few_squares.run(blas)) for _ in range(5))
        choices.append((few_squares.flops / elapsed / 1e6, blas, None))
    _, blas, block = max(choices, key=lambda choice: choice[0])
    found = ", ".join(
        f"{os.path.basename(each.path)} ({each.core}) {max(rate for rate, library, _ in choices if library is each):.0f} GFLOP/s"
        for each in libraries
    )
    if block is None:
        work, flops, shape = (lambda: squares.run(blas)), squares.flops, f"{squares.count} of {Squares.SIDE}³"
    else:
        block = classes if block == sample.classes else block
        work, flops = (lambda: step.run(blas, block)), 4 * 2 * batch * classes * dim
        shape = f"the step's products, blocks of {block} classes"
    reply(
        kind="ready",
        flops=flops,
        facts={
            "library": os.path.basename(blas.path),
            "core": blas.core,
            "openblas": blas.description,
            "shape": shape,
            "found": found,
        },
    )
    for line in sys.stdin:
        elapsed, cpu = [], []
        for _ in range(json.loads(line)["iterations"]):
            used = resource.getrusage(resource.RUSAGE_SELF)
            elapsed.append(timed(work))
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu.append(1e3 * (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime))
        reply(kind="samples", elapsedMs=elapsed, cpuMs=cpu)
    reply(kind="done", peakBytes=resident_bytes("VmHWM"))


main()
