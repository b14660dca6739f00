"""Writes vectors/ for the tests of src/import with PyTorch. Usage: python3 make_vectors.py  (needs torch 2 and safetensors)

iresnet.pt     a training checkpoint as arcface_torch's, of a float16 `iresnet10-w16` under DistributedDataParallel. Every weight is a
               strided view of a small storage, which keeps the file small and strides in the test.
small.pt       tensors of all types of weights, a transposed one, a parameter; small_legacy.pt, small.safetensors: the same.
code.pt        a pickle that would run os.system.
expected.json  embeddings of iresnet.pt in float64, and the values of small.pt.
"""
import json
import math
import os
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file

from iresnet_torch import IResNet

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors")
SIZE, EMBEDDING = 32, 8
random = torch.Generator().manual_seed(5)
bases = {}


def view(shape, spread, centre, offset):
    """A tensor of the shape whose elements lie in a storage of 1300 numbers drawn of centre ± spread."""
    if (spread, centre) not in bases:
        drawn = centre + spread * (2 * torch.rand(1300, generator=random) - 1)
        bases[spread, centre] = drawn.half()
    return bases[spread, centre].as_strided(shape, (5, 3, 2, 1)[: len(shape)] if len(shape) != 2 else (3, 1), offset)


def weights(model):
    state = OrderedDict()
    for i, (name, tensor) in enumerate(model.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            state[name] = tensor + 3
        elif tensor.dim() > 1:
            state[name] = view(tensor.shape, 1.7 / math.sqrt(tensor[0].numel()), 0.0, i)
        else:
            is_scale = name.endswith("running_var") or (name.endswith("weight") and "prelu" not in name)
            state[name] = view(tensor.shape, 0.4, 1.0 if is_scale else 0.0, i)
    return state


def embed():
    model = IResNet((1, 1, 1, 1), (16, 32, 64, 128), SIZE, EMBEDDING, stem_stride=2)
    state = weights(model)
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=True)
    checkpoint = {
        "epoch": 3,
        "global_step": 120,
        "state_dict_backbone": OrderedDict((f"module.{name}", tensor) for name, tensor in state.items()),
        "state_dict_softmax_fc": OrderedDict(weight=torch.zeros(2, EMBEDDING)),
        "state_optimizer": {"state": {0: {"momentum_buffer": torch.zeros(1)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "state_lr_scheduler": {"last_epoch": 120, "_last_lr": [0.02]},
    }
    torch.save(checkpoint, os.path.join(HERE, "iresnet.pt"))
    image = torch.tensor([math.sin(0.37 * i * i) for i in range(2 * 3 * SIZE * SIZE)], dtype=torch.float32)
    model.double().eval()
    with torch.no_grad():
        return model(image.double().reshape(2, 3, SIZE, SIZE)).tolist()


def small():
    values = torch.tensor([[0.0, -0.0, 1.0, -2.5], [3.1415927, 65504.0, 6e-8, -1e-3]], dtype=torch.float64)
    tensors = {
        "half": values.half(),
        "bfloat16": values.bfloat16(),
        "float": values.float(),
        "double": values,
        "transposed": values.float().t(),
        "tail": values.float().flatten()[5:],
        "counter": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, os.path.join(HERE, "small.safetensors"))
    expected = {name: {"shape": list(tensor.shape), "values": tensor.float().flatten().tolist()} for name, tensor in tensors.items()}
    tensors["parameter"] = torch.nn.Parameter(values.float())
    torch.save(tensors, os.path.join(HERE, "small.pt"))
    torch.save(tensors, os.path.join(HERE, "small_legacy.pt"), _use_new_zipfile_serialization=False)
    return expected


def code():
    with zipfile.ZipFile(os.path.join(HERE, "code.pt"), "w") as file:
        file.writestr(zipfile.ZipInfo("archive/data.pkl"), b"\x80\x02cposix\nsystem\nX\x08\x00\x00\x00echo bad\x85R.")
    with zipfile.ZipFile(os.path.join(HERE, "deflated.pt"), "w") as file:
        entry = zipfile.ZipInfo("archive/data.pkl")
        entry.compress_type = zipfile.ZIP_DEFLATED
        file.writestr(entry, b"\x80\x02}." + bytes(100_000))


os.makedirs(HERE, exist_ok=True)
code()
with open(os.path.join(HERE, "expected.json"), "w") as file:
    json.dump({"embeddings": embed(), "small": small()}, file)
    file.write("\n")
for name in sorted(os.listdir(HERE)):
    print(f"{name}: {os.path.getsize(os.path.join(HERE, name))} bytes")
