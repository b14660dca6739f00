"""Full-size proof of `hyperarc import` and `hyperarc export` against PyTorch, run by hand: python3 check_full_size.py [iresnet50]
Needs torch, safetensors and onnxruntime, and a built HyperArc with TensorFlow. The weights are random, with statistics of its own images, so
that activations keep their size as those of a trained network do."""
import os
import subprocess
import sys
import tempfile

import numpy
import onnxruntime
import torch
from safetensors.torch import load_file

from iresnet_torch import IResNet

BLOCKS = {"iresnet18": (2, 2, 2, 2), "iresnet50": (3, 4, 14, 3), "iresnet100": (3, 13, 30, 3)}
name = sys.argv[1] if len(sys.argv) > 1 else "iresnet50"
command = ["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bin/hyperarc.js")]


def run(*arguments):
    print("$ hyperarc", *arguments)
    done = subprocess.run([*command, *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    print(done.stdout, end="")


def drawn():
    torch.manual_seed(1)
    model = IResNet(BLOCKS[name])
    for parameter in model.parameters():
        if parameter.dim() == 1 and parameter.requires_grad:
            parameter.data.add_(0.2 * torch.randn(parameter.shape))
    model.train()
    with torch.no_grad():
        model(torch.rand(8, 3, 112, 112) * 2 - 1)
        model(torch.rand(8, 3, 112, 112) * 2 - 1)
    return model.eval()


with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    model = drawn()
    images = torch.rand(4, 3, 112, 112) * 2 - 1
    torch.save({"epoch": 1, "state_dict_backbone": {f"module.{key}": value for key, value in model.state_dict().items()}}, f"{folder}/checkpoint.pt")
    run("import", "checkpoint.pt", "model", "--backbone", name)
    run("export", "model", "model.onnx", "--check")
    run("export", "model", "model.safetensors")
    expected = model(images).numpy()
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
    (received,) = session.run(None, {"data": images.numpy()})
    print(f"PyTorch against the ONNX file: largest difference {numpy.abs(received - expected).max():.1e} of values up to {numpy.abs(expected).max():.3g}, {len(images)} images")
    again = IResNet(BLOCKS[name])
    again.load_state_dict(load_file(f"{folder}/model.safetensors"), strict=True)
    received = again.eval()(images).numpy()
    print(f"PyTorch with the safetensors file (strict=True): largest difference {numpy.abs(received - expected).max():.1e}")
