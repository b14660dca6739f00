"""Small networks of the published architectures in PyTorch, in our own words, with the state dict's published names: weights, images,
embeddings and gradients for parity.test.ts, one safetensors file a network.

    python3 make_parity.py        # needs torch; writes *.safetensors beside this file

images.safetensors has `images` [B, 3, S, S], NCHW. Each other file has the state dict (num_batches_tracked left out), `result/running`:
the embeddings with the running statistics, `result/batch`: those with the batch's, `result/direction`: the factors of the scalar
sum(direction * batch), and `gradient/NAME`: its derivatives. Everything is computed in float64 on the float32 weights.

iresnet: arcface_torch's IResNet (Duta et al. 2020).
"""

import json
import os
import struct

import torch
from torch import nn


class Add(nn.Module):
    """x + residual(x), with the shortcut's module where there is one."""

    def residual(self, x):
        raise NotImplementedError

    def forward(self, x):
        return self.residual(x) + (self.downsample(x) if self.downsample is not None else x)


class IResNetBlock(Add):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def residual(self, x):
        return self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))


class IResNet(nn.Module):
    def __init__(self, blocks, widths, size, embedding):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.prelu = nn.PReLU(widths[0])
        inputs = widths[0]
        for stage, (count, width) in enumerate(zip(blocks, widths)):
            units = [IResNetBlock(inputs if i == 0 else width, width, 2 if i == 0 else 1) for i in range(count)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*units))
            inputs = width
        self.bn2 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs * (size // 16) ** 2, embedding)
        self.features = nn.BatchNorm1d(embedding)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))


def draw(model, seed):
    """Random weights in which a mix-up of channels, of rows or of statistics shows."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.dtype != torch.float32:
            continue
        spread = 1 / max(1, tensor[0].numel()) ** 0.5 if tensor.dim() > 1 else 0.3
        offset = 1.0 if name.endswith(("running_var",)) or (tensor.dim() == 1 and name.endswith("weight")) else 0.0
        values = torch.rand(tensor.shape, generator=random) * 2 - 1
        tensor.copy_(offset + spread * 1.7 * values)
    return model


def write(path, tensors):
    """The safetensors layout, to need no package for it."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.detach().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


HERE = os.path.dirname(os.path.abspath(__file__))
BATCH, SIZE = 3, 32
IMAGES = torch.rand(BATCH, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(7)) * 2 - 1


def record(name, model, gradients):
    tensors = {key: value.clone() for key, value in draw(model, 1).state_dict().items() if value.dtype == torch.float32}
    model.double().eval()
    with torch.no_grad():
        tensors["result/running"] = model(IMAGES.double())
    embeddings = model.train()(IMAGES.double())
    direction = torch.rand(embeddings.shape, generator=torch.Generator().manual_seed(8)).double() * 2 - 1
    tensors |= {"result/batch": embeddings, "result/direction": direction}
    (direction * embeddings).sum().backward()
    parameters = dict(model.named_parameters())
    tensors |= {f"gradient/{key}": parameters[key].grad for key in gradients}
    path = os.path.join(HERE, f"{name}.safetensors")
    write(path, tensors)
    print(f"{os.path.basename(path)}: {os.path.getsize(path)} bytes")


write(os.path.join(HERE, "images.safetensors"), {"images": IMAGES})
record(
    "iresnet",
    IResNet((1, 2, 1, 1), (4, 4, 8, 8), SIZE, 6),
    [
        "conv1.weight",
        "layer1.0.prelu.weight",
        "layer2.1.conv2.weight",
        "layer3.0.downsample.0.weight",
        "layer4.0.bn3.weight",
        "bn2.weight",
        "fc.weight",
        "features.bias",
    ],
)
