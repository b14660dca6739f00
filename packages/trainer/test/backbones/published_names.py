"""Parameters, multiply-accumulates and digests of the state dicts of arcface_torch's networks, for plan.test.ts and torchNames.test.ts.

    python3 published_names.py ARCFACE_TORCH > published.json     # a checkout of recognition/arcface_torch; needs torch

The digest is the SHA-256 of the lines `NAME SHAPE`, sorted, of the float32 tensors (512-d embeddings, 112x112). timm's two helpers that
its vit.py imports hold no weights and are replaced here. Multiply-accumulates are counted in one forward pass of one image: those of
convolutions and dense layers, and 2 T^2 D of a transformer block's attention.
"""

import hashlib
import json
import sys
import types

import torch

layers = types.ModuleType("timm.models.layers")
layers.DropPath = lambda rate: torch.nn.Identity()
layers.to_2tuple = lambda size: (size, size)
layers.trunc_normal_ = torch.nn.init.trunc_normal_
sys.modules |= {"timm": types.ModuleType("timm"), "timm.models": types.ModuleType("timm.models"), "timm.models.layers": layers}
sys.path.insert(0, sys.argv[1])
from backbones import get_model  # noqa: E402

PUBLISHED = ["r18", "r34", "r50", "r100", "r200", "mbf", "mbf_large", "vit_t", "vit_s", "vit_b", "vit_l_dp005_mask_005"]


def count_macs(network):
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            total += module.weight.numel() * output.shape[2] * output.shape[3]
        elif isinstance(module, torch.nn.Linear):
            total += module.weight.numel() * (output.numel() // module.out_features)
        elif type(module).__name__ == "Attention":
            total += 2 * output.shape[1] ** 2 * output.shape[2]

    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 112, 112))
    return total


result = {}
for name in PUBLISHED:
    network = get_model(name, fp16=False)
    tensors = {key: value for key, value in network.state_dict().items() if value.dtype == torch.float32}
    lines = sorted(f"{key} {'x'.join(map(str, value.shape))}" for key, value in tensors.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    parameters = sum(value.numel() for value in network.parameters())
    result[name] = {"parameters": parameters, "macs": count_macs(network), "tensors": len(lines), "sha256": digest}
json.dump(result, sys.stdout, indent=2)
print()
