"""Writes expected.json: similarity transforms and warped images to test src/data/align against.

Independent of the TypeScript: Umeyama's method with its singular value decomposition, and bilinear sampling written as a sum over all pixels.
Where OpenCV is installed its warpAffine is added ("opencv"); the committed file has it (opencv-python-headless 5.0.0, numpy 2.4).
Usage: python make_expected.py > expected.json
"""

import base64
import json
import sys

import numpy as np

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def umeyama(source, target):
    """PAMI 1991, eqs. 34-43: [[sR, t]], the rotation proper."""
    n = len(source)
    mu_x, mu_y = source.mean(0), target.mean(0)
    x, y = source - mu_x, target - mu_y
    u, d, vt = np.linalg.svd(y.T @ x / n)
    s = np.ones(2)
    if np.linalg.det(u) * np.linalg.det(vt) < 0:
        s[1] = -1
    rotation = u @ np.diag(s) @ vt
    scale = (d * s).sum() / ((x**2).sum() / n)
    return np.hstack([scale * rotation, (mu_y - scale * rotation @ mu_x)[:, None]])


def warp(image, matrix, width, height):
    """Each pixel is the sum over the image of max(0, 1 - |dx|) max(0, 1 - |dy|) value; not rounded."""
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    ys, xs = np.mgrid[0:height, 0:width]
    where = inverse @ np.stack([xs.ravel(), ys.ravel(), np.ones(xs.size)])
    wx = np.maximum(0, 1 - np.abs(where[0][:, None] - np.arange(image.shape[1])))
    wy = np.maximum(0, 1 - np.abs(where[1][:, None] - np.arange(image.shape[0])))
    return np.einsum("py,px,yxc->pc", wy, wx, image.astype(np.float64)).reshape(height, width, 3)


rng = np.random.default_rng(20)
shapes = {
    "upright": TEMPLATE * 1.7 + [30, 12],
    "turned": (TEMPLATE - 56) @ np.array([[0.3, -0.9], [0.9, 0.3]]) + [200.5, 90.25],
    "upside down": (TEMPLATE - 56) * -0.4 + [100, 100],
    "noisy": TEMPLATE * 0.8 + rng.normal(0, 6, (5, 2)),
    # A mirrored face: a fit without the rule for proper rotations would mirror it back.
    "mirrored": TEMPLATE * [-1.0, 1.0] + [150, 0] + rng.normal(0, 2, (5, 2)),
    "far away": TEMPLATE * 0.05 + [9000, 8000],
    "IJB-B's first line": np.array(
        [[46.060, 62.026], [87.785, 60.323], [68.851, 77.656], [52.162, 99.875], [86.450, 98.648]]
    ),
}
similarities = [
    {"name": name, "from": points.tolist(), "matrix": umeyama(points, TEMPLATE).ravel().tolist()}
    for name, points in shapes.items()
]

height, width = 19, 23
image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
angle = 0.4
matrices = {
    "identity": [1, 0, 0, 0, 1, 0],
    "whole shift past an edge": [1, 0, -5, 0, 1, 7],
    "half shift": [1, 0, 0.5, 0, 1, -0.5],
    "larger": [1.9, 0, -4.3, 0, 1.9, -6.1],
    "smaller": [0.35, 0.02, 3.2, -0.02, 0.35, 2.7],
    "turned": [np.cos(angle), -np.sin(angle), 4.0, np.sin(angle), np.cos(angle), -3.0],
    "outside": [1, 0, 100, 0, 1, 0],
}
try:
    import cv2
except ImportError:
    cv2 = None
    print("no OpenCV: its images are left out", file=sys.stderr)
warps = []
for name, values in matrices.items():
    matrix = np.array(values, dtype=np.float64).reshape(2, 3)
    entry = {"name": name, "matrix": matrix.ravel().tolist(), "width": 17, "height": 13}
    entry["exact"] = np.round(warp(image, matrix, 17, 13), 4).ravel().tolist()
    if cv2 is not None:
        bytes_ = cv2.warpAffine(image, matrix, (17, 13), flags=cv2.INTER_LINEAR, borderValue=0.0)
        entry["opencv"] = base64.b64encode(bytes_.tobytes()).decode()
    warps.append(entry)
pixels = base64.b64encode(image.tobytes()).decode()
json.dump({"similarities": similarities, "image": {"width": width, "height": height, "data": pixels}, "warps": warps}, sys.stdout)
