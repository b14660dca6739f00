"""What OpenCV and torchvision make of the same image, for comparison within their own rounding (OpenCV interpolates in fixed
point, torchvision in float32).

    python3 make_library.py expected.json > library.json      # with numpy, opencv-python-headless, torch, torchvision
"""

import importlib.util
import json
import sys

import cv2
import numpy as np
import torch

# The functions alone: torchvision's compiled operators, which need a matching torch, are not used.
spec = importlib.util.find_spec("torchvision")
file = spec.submodule_search_locations[0] + "/transforms/_functional_tensor.py"
spec = importlib.util.spec_from_file_location("functional", file)
F = importlib.util.module_from_spec(spec)
spec.loader.exec_module(F)

expected = json.load(open(sys.argv[1]))
side = expected["side"]
x = np.array(expected["image"], dtype=np.uint8).reshape(side, side, 3)
t = torch.from_numpy(x.transpose(2, 0, 1).copy())
flat = lambda a: np.asarray(a).reshape(-1).tolist()
torch_flat = lambda a: flat(a.numpy().transpose(1, 2, 0))
KINDS = {k: getattr(cv2, "INTER_" + k.upper()) for k in ["nearest", "linear", "area", "cubic", "lanczos4"]}


def blur(sigma):
    r = int(np.ceil(3 * sigma))
    k = F._get_gaussian_kernel1d(2 * r + 1, sigma, torch.float64, torch.device("cpu"))
    k = k[:, None] * k[None]
    p = torch.nn.functional.pad(t.double()[None], [r, r, r, r], mode="reflect")
    return torch.nn.functional.conv2d(p, k.expand(3, 1, -1, -1), groups=3)[0].round().to(torch.uint8)


def rotate(degrees, about):
    c = (side - 1) / 2 if about == "centre" else 0.0
    a = np.deg2rad(degrees)
    m = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    shift = np.array([c, c]) - m @ np.array([c, c])
    return cv2.warpAffine(x, np.concatenate([m, shift[:, None]], 1), (side, side))


print(
    json.dumps(
        {
            "resize": [flat(cv2.resize(x, (e["columns"], e["rows"]), interpolation=KINDS[e["kind"]])) for e in expected["resize"]],
            "blur": [torch_flat(blur(e["sigma"])) for e in expected["blur"]],
            "rotate": [flat(rotate(e["degrees"], e["about"])) for e in expected["rotate"]],
            "brightness": [torch_flat(F.adjust_brightness(t, e["factor"])) for e in expected["brightness"]],
            "contrast": [torch_flat(F.adjust_contrast(t, e["factor"])) for e in expected["contrast"]],
            "saturation": [torch_flat(F.adjust_saturation(t, e["factor"])) for e in expected["saturation"]],
            "hue": [torch_flat(F.adjust_hue(t, e["factor"])) for e in expected["hue"]],
            "grey": flat(np.repeat(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)),
        },
        separators=(",", ":"),
    )
)
