"""What this GPU can do: the rates of a bf16 matrix product and of a device-to-device copy, for rooflines.

usage: gpu_rates.py cuda:0. Prints one JSON object: gemmFlops and copyBytes a second (medians of device events), or skip with the reason. On the CPU it
takes tiny sizes, which only prove that it works.
"""

import json
import sys
import time


def main():
    try:
        import torch
    except ImportError as error:
        return {"skip": f"{sys.executable} cannot import torch ({error}); name one that can in HYPERARC_PYTHON"}
    device = torch.device(sys.argv[1])
    is_cuda = device.type == "cuda"
    if is_cuda and not torch.cuda.is_available():
        return {"skip": f"torch {torch.__version__} sees no CUDA device"}

    def median_seconds(work):
        seconds = []
        for repeat in range(25):
            if is_cuda:
                begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                begin.record()
                work(repeat)
                end.record()
                torch.cuda.synchronize()
                seconds.append(begin.elapsed_time(end) / 1e3)
            else:
                start = time.perf_counter()
                work(repeat)
                seconds.append(time.perf_counter() - start)
        return sorted(seconds[5:])[10]

    # Random numbers, never zeros, and two operand sets in turn: chips are faster on zeros, which toggle no wires.
    size = 8192 if is_cuda else 256
    left = [torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2)]
    right = [torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2)]
    product = torch.empty(size, size, device=device, dtype=torch.bfloat16)
    gemm = median_seconds(lambda repeat: torch.matmul(left[repeat % 2], right[repeat % 2], out=product))

    count = 2**30 if is_cuda else 2**20
    source = torch.randn(count, device=device)
    target = torch.empty_like(source)
    copy = median_seconds(lambda _: target.copy_(source))
    return {"gemmFlops": 2 * size**3 / gemm, "copyBytes": 2 * 4 * count / copy, "torch": torch.__version__}


print(json.dumps(main()))
