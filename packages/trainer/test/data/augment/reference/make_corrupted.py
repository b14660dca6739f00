"""Expected pixels of the corruptions that draw nothing, from NumPy alone, at their published strengths.

    python3 make_corrupted.py > corrupted.json
"""

import json

import numpy as np

from make_expected import blur, resize

SIDE = 28  # a quarter of 112
BLUR = [1, 2, 3, 4, 6]  # pixels at 112
LOW_RESOLUTION = [56, 36, 24, 16, 10]  # pixels at 112


def image():
    y, x = np.mgrid[:SIDE, :SIDE]
    # No straight ramps: their means lie on halves, which may round either way.
    planes = [128 + 100 * np.sin(x / 3) * np.cos(y / 5), (13 * x * x + 7 * y * y * y + 3 * x * y) % 251, (x * y * 7 + x) % 256]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.int64)


x = image()
flat = lambda a: np.asarray(a).reshape(-1).tolist()
low = [resize(resize(x, "area", n, n), "cubic", SIDE, SIDE) for n in (int(np.floor(s * SIDE / 112 + 0.5)) for s in LOW_RESOLUTION)]
print(
    json.dumps(
        {
            "side": SIDE,
            "image": flat(x),
            "blur": [flat(blur(x, s * SIDE / 112)) for s in BLUR],
            "low resolution": [flat(a) for a in low],
        },
        separators=(",", ":"),
    )
)
