"""Peer of `backbones`: training steps of IResNet-50 or MobileFaceNet in PyTorch on the CPU, of the definitions of InsightFace's arcface_torch, in our
own words. A step is forward, backward from 1e-3 * sum(y^2), clipping to a norm of 5, and torch.optim.SGD with momentum.

Speaks the protocol of src/protocol.ts: the specification is the last argument; lines of JSON on standard input and output.
"""

import json
import resource
import sys
import time


def reply(**fields):
    print(json.dumps(fields), flush=True)


try:
    import torch
    from torch import nn
except ImportError as error:
    reply(kind="skip", reason=f"{sys.executable} cannot import torch ({error}); name one that can in HYPERARC_PYTHON")
    sys.exit(0)


def conv(inputs, outputs, kernel=3, stride=1, padding=None, groups=1):
    padding = kernel // 2 if padding is None else padding
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


class Sum(nn.Module):
    """residual(x) + shortcut(x)."""

    def __init__(self, residual, shortcut=None):
        super().__init__()
        self.residual, self.shortcut = residual, shortcut or nn.Identity()

    def forward(self, x):
        return self.residual(x) + self.shortcut(x)


def iresnet50(size, embedding):
    layers, inputs = [conv(3, 64), nn.BatchNorm2d(64), nn.PReLU(64)], 64
    for count, width in zip((3, 4, 14, 3), (64, 128, 256, 512)):
        for i in range(count):
            stride = 2 if i == 0 else 1
            residual = nn.Sequential(
                nn.BatchNorm2d(inputs),
                conv(inputs, width),
                nn.BatchNorm2d(width),
                nn.PReLU(width),
                conv(width, width, 3, stride),
                nn.BatchNorm2d(width),
            )
            shortcut = nn.Sequential(conv(inputs, width, 1, stride), nn.BatchNorm2d(width)) if stride == 2 else None
            layers.append(Sum(residual, shortcut))
            inputs = width
    features = nn.BatchNorm1d(embedding)
    features.weight.requires_grad = False
    return nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.Flatten(), nn.Linear(inputs * (size // 16) ** 2, embedding), features)


def mobilefacenet(size, embedding):
    def unit(inputs, outputs, kernel=1, stride=1, padding=None, groups=1, prelu=True):
        layers = [conv(inputs, outputs, kernel, stride, padding, groups), nn.BatchNorm2d(outputs)]
        return nn.Sequential(*layers, *([nn.PReLU(outputs)] if prelu else []))

    def bottleneck(inputs, outputs, hidden, stride):
        depthwise = unit(hidden, hidden, 3, stride, groups=hidden)
        return nn.Sequential(unit(inputs, hidden), depthwise, unit(hidden, outputs, prelu=False))

    layers, inputs = [unit(3, 128, 3, 2), unit(128, 128, 3, groups=64)], 128
    for down, hidden, width, count in ((128, 128, 128, 4), (256, 256, 256, 6), (512, 256, 256, 2)):
        layers.append(bottleneck(inputs, width, down, 2))
        layers += [Sum(bottleneck(width, width, hidden, 1)) for _ in range(count)]
        inputs = width
    layers += [unit(inputs, 512), unit(512, 512, size // 16, padding=0, groups=512, prelu=False), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(512, embedding, bias=False), nn.BatchNorm1d(embedding))


NETWORKS = {"iresnet50": iresnet50, "mobilefacenet": mobilefacenet}
SIZE, EMBEDDING = 112, 512


def main():
    specification = json.loads(sys.argv[-1])
    torch.set_num_threads(specification["threads"])
    torch.manual_seed(2048)
    model = NETWORKS[specification["model"]](SIZE, EMBEDDING).train()
    channels_last = specification["program"] == "pytorch-channels-last"
    images = torch.rand(specification["batch"], 3, SIZE, SIZE) * 2 - 1
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-6, momentum=0.9, weight_decay=5e-4)
    count = sum(parameter.numel() for parameter in model.parameters())
    reply(kind="ready", facts={"torch": torch.__version__, "parameters": count})
    norm = torch.tensor(float("nan"))
    for line in sys.stdin:
        elapsed, cpu = [], []
        for _ in range(json.loads(line)["iterations"]):
            used = resource.getrusage(resource.RUSAGE_SELF)
            start = time.perf_counter_ns()
            optimizer.zero_grad()
            (1e-3 * model(images).square().sum()).backward()
            norm = torch.nn.utils.clip_grad_norm_(parameters, 5)
            optimizer.step()
            elapsed.append((time.perf_counter_ns() - start) / 1e6)
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu.append(1e3 * (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime))
        reply(kind="samples", elapsedMs=elapsed, cpuMs=cpu)
    assert 0 < norm < float("inf"), norm
    reply(kind="done", peakBytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


main()
