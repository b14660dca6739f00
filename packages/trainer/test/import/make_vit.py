"""Writes vectors/vit.* for import.test.ts with PyTorch. Usage: python3 make_vit.py  (needs torch 2)

vit.pt         a float16 state dict of `vit-t` for images of 32 pixels. Every weight is a strided view of a small storage, which keeps the
               file small.
vit.json       its embeddings in float64 with ReLU6, as arcface_torch has it, and with GELU.
"""
import json
import math
import os
from collections import OrderedDict

import torch
from torch import nn

from vit_torch import ViT

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors")
SIZE, EMBEDDING = 32, 8
random = torch.Generator().manual_seed(6)
bases = {}


def view(shape, spread, centre, offset):
    """A tensor of the shape whose elements lie in a storage of 3800 numbers drawn of centre ± spread."""
    if (spread, centre) not in bases:
        bases[spread, centre] = (centre + spread * (2 * torch.rand(3800, generator=random) - 1)).half()
    return bases[spread, centre].as_strided(shape, (3, 3, 2, 1)[: len(shape)] if len(shape) != 2 else (3, 1), offset)


def weights(model):
    state = OrderedDict()
    for i, (name, tensor) in enumerate(model.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            state[name] = tensor + 3
        elif tensor.dim() > 1:
            state[name] = view(tensor.shape, round(1.7 / math.sqrt(tensor[0].numel()), 2), 0.0, i)
        else:
            is_scale = name.endswith("running_var") or ("norm" in name or "feature" in name) and name.endswith("weight")
            state[name] = view(tensor.shape, 0.4, 1.0 if is_scale else 0.0, i)
    return state


def embed(state, activation):
    model = ViT(256, 12, 8, SIZE, EMBEDDING, activation)
    model.load_state_dict({name: tensor.float() for name, tensor in state.items() if name != "mask_token"}, strict=True)
    image = torch.tensor([math.sin(0.37 * i * i) for i in range(2 * 3 * SIZE * SIZE)], dtype=torch.float32)
    model.double().eval()
    with torch.no_grad():
        return model(image.double().reshape(2, 3, SIZE, SIZE)).tolist()


state = weights(ViT(256, 12, 8, SIZE, EMBEDDING, nn.ReLU6()))
# Stands in for dropped tokens in training; nothing is dropped here.
state["mask_token"] = view((1, 1, 256), 0.4, 0.0, 0)
torch.save(state, os.path.join(HERE, "vit.pt"))
with open(os.path.join(HERE, "vit.json"), "w") as file:
    json.dump({"relu6": embed(state, nn.ReLU6()), "gelu": embed(state, nn.GELU())}, file)
    file.write("\n")
for name in ("vit.pt", "vit.json"):
    print(f"{name}: {os.path.getsize(os.path.join(HERE, name))} bytes")
