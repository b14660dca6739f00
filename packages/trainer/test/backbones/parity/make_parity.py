"""Small networks of the published architectures in PyTorch, in our own words, with the state dict's published names: weights, images,
embeddings and gradients for parity.test.ts, one safetensors file a network.

    python3 make_parity.py        # needs torch; writes *.safetensors beside this file

images.safetensors has `images` [B, 3, S, S], NCHW. Each other file has the state dict (num_batches_tracked left out), `result/running`:
the embeddings with the running statistics, `result/batch`: those with the batch's, `result/direction`: the factors of the scalar
sum(direction * batch), and `gradient/NAME`: its derivatives. Everything is computed in float64 on the float32 weights.

iresnet, vit: arcface_torch's; vit-gelu with the paper's activation. irse: TFace's and AdaFace's IR-SE. resnet: face.evoLVe's.
The vision transformer drops nothing.
"""

import json
import os
import struct
import sys

import torch
from torch import nn

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../import"))
from vit_torch import ViT


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


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x):
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class IRSEBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, reduction):
        super().__init__()
        self.shortcut_layer = nn.MaxPool2d(1, stride)
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.res_layer.add_module("se_block", SqueezeExcite(outputs, reduction))

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


def irse(blocks, widths, reduction, size, embedding):
    body, inputs = [], widths[0]
    for count, width in zip(blocks, widths):
        for i in range(count):
            body.append(IRSEBlock(inputs, width, 2 if i == 0 else 1, reduction))
            inputs = width
    model = nn.Sequential()
    model.input_layer = nn.Sequential(nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0]))
    model.body = nn.Sequential(*body)
    output = nn.BatchNorm1d(embedding, affine=False)
    linear = nn.Linear(inputs * (size // 16) ** 2, embedding)
    model.output_layer = nn.Sequential(nn.BatchNorm2d(inputs), nn.Dropout(0), nn.Flatten(), linear, output)
    return model


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        for i, (a, b, kernel) in enumerate([(inputs, width, 1), (width, width, 3), (width, 4 * width, 1)]):
            step = stride if kernel == 3 else 1
            self.add_module(f"conv{i + 1}", nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(b))
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return (self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    def __init__(self, blocks, widths, size, embedding):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for stage, (count, width) in enumerate(zip(blocks, widths)):
            units = []
            for i in range(count):
                units.append(Bottleneck(inputs, width, 2 if stage > 0 and i == 0 else 1))
                inputs = 4 * width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*units))
        self.bn_o1 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs * (size // 32) ** 2, embedding)
        self.bn_o2 = nn.BatchNorm1d(embedding)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.bn_o1(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.bn_o2(self.fc(x.flatten(1)))


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
record(
    "irse",
    irse((1, 2, 1, 1), (4, 4, 8, 8), 2, SIZE, 6),
    [
        "input_layer.0.weight",
        "body.0.res_layer.se_block.fc1.weight",
        "body.2.res_layer.4.weight",
        "body.3.res_layer.se_block.fc2.weight",
        "body.3.shortcut_layer.1.weight",
        "output_layer.0.weight",
        "output_layer.3.weight",
    ],
)
record(
    "resnet",
    ResNet((2, 1, 1, 1), (4, 2, 2, 2), SIZE, 6),
    [
        "conv1.weight",
        "bn1.weight",
        "layer1.0.downsample.0.weight",
        "layer1.1.conv2.weight",
        "layer2.0.conv2.weight",
        "layer3.0.bn3.bias",
        "fc.weight",
        "bn_o2.weight",
    ],
)
record(
    "vit",
    ViT(8, 2, 2, SIZE, 6, nn.ReLU6()),
    [
        "patch_embed.proj.weight",
        "patch_embed.proj.bias",
        "pos_embed",
        "blocks.0.attn.qkv.weight",
        "blocks.0.norm1.weight",
        "blocks.1.attn.proj.weight",
        "blocks.1.mlp.fc1.bias",
        "norm.weight",
        "feature.0.weight",
        "feature.3.weight",
    ],
)
record(
    "vit-gelu",
    ViT(8, 1, 2, SIZE, 6, nn.GELU()),
    [
        "patch_embed.proj.weight",
        "pos_embed",
        "blocks.0.attn.qkv.weight",
        "blocks.0.mlp.fc1.weight",
        "blocks.0.mlp.fc1.bias",
        "blocks.0.mlp.fc2.weight",
    ],
)
