"""Expected pixels of the augmentations, from NumPy alone and written independently of the TypeScript: whole matrices and
coordinate arrays where that loops over taps.

    python3 make_expected.py > expected.json
"""

import json

import numpy as np

SIDE = 13
ROUND = lambda x: np.clip(np.floor(x + 0.5), 0, 255).astype(int)
CUT = lambda x: np.clip(x, 0, 255).astype(int)


def image():
    """[13, 13, 3]: a byte for every value from a small congruential generator, with flat, grey, black and white patches."""
    x = np.empty(SIDE * SIDE * 3, dtype=np.int64)
    state = 12345
    for i in range(x.size):
        state = (1103515245 * state + 12345) % 2**31
        x[i] = (state >> 16) & 255
    x = x.reshape(SIDE, SIDE, 3)
    x[0, :4] = 0
    x[1, :4] = 255
    x[2, :4] = 128
    x[3, :4] = [200, 200, 10]
    x[4, :4] = [10, 200, 200]
    return x


def resize_matrix(kind, n, m):
    """[m, n] weights of cv2.resize along one axis."""
    w = np.zeros((m, n))
    for i in range(m):
        if kind == "nearest":
            w[i, min(n - 1, int(i * n / m))] = 1
            continue
        if kind == "area" and m <= n:
            edges = np.arange(n + 1)
            low, high = i * n / m, (i + 1) * n / m
            w[i] = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
            w[i] /= w[i].sum()
            continue
        if kind == "area":
            s = int(np.floor(i * n / m))
            f = (i + 1) - (s + 1) * m / n
            f = 0 if f <= 0 or s >= n - 1 else f - np.floor(f)
            w[i, s] += 1 - f
            w[i, min(n - 1, s + 1)] += f
            continue
        c = (i + 0.5) * n / m - 0.5
        taps = {"linear": 1, "cubic": 2, "lanczos4": 4}[kind]
        positions = np.floor(c) + np.arange(1 - taps, taps + 1)
        t = np.abs(c - positions)
        if kind == "linear":
            k = 1 - t
        elif kind == "cubic":
            a = -0.75
            k = np.where(t <= 1, (a + 2) * t**3 - (a + 3) * t**2 + 1, a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a)
        else:
            k = np.sinc(t) * np.sinc(t / 4)
        k = k / k.sum()
        for p, v in zip(positions, k):
            w[i, int(np.clip(p, 0, n - 1))] += v
    return w


def resize(x, kind, rows, columns):
    return ROUND(np.einsum("ia,jb,abc->ijc", resize_matrix(kind, x.shape[0], rows), resize_matrix(kind, x.shape[1], columns), x))


def blur(x, sigma):
    r = int(np.ceil(3 * sigma))
    k = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    k /= k.sum()
    p = np.pad(x, ((r, r), (r, r), (0, 0)), mode="reflect").astype(float)
    n = x.shape[0]
    return ROUND(sum(k[a] * k[b] * p[a : a + n, b : b + n] for a in range(2 * r + 1) for b in range(2 * r + 1)))


def rotate(x, degrees, about):
    """Every output asks where it comes from; outside is black."""
    n = x.shape[0]
    c = (n - 1) / 2 if about == "centre" else 0.0
    a = np.deg2rad(degrees)
    forward = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    ys, xs = np.mgrid[:n, :n]
    sx, sy = np.einsum("ij,jyx->iyx", np.linalg.inv(forward), np.stack([xs - c, ys - c])) + c
    padded = np.zeros((n + 40, n + 40, 3))
    padded[20 : 20 + n, 20 : 20 + n] = x
    x0, y0 = np.floor(sx).astype(int), np.floor(sy).astype(int)
    fx, fy = (sx - x0)[..., None], (sy - y0)[..., None]
    at = lambda dx, dy: padded[y0 + dy + 20, x0 + dx + 20]
    return ROUND((1 - fy) * ((1 - fx) * at(0, 0) + fx * at(1, 0)) + fy * ((1 - fx) * at(0, 1) + fx * at(1, 1)))


def luma(x):
    return CUT(x @ np.array([0.2989, 0.587, 0.114]))


def blend(x, y, f):
    return CUT(f * x + (1 - f) * y)


def hue(x, turn):
    """By way of the hexcone's piecewise linear functions (k = (n + 6h) mod 6), not of sectors."""
    u = x / 255
    v, low = u.max(-1), u.min(-1)
    spread = v - low
    safe = np.where(spread == 0, 1, spread)
    r, g, b = u[..., 0], u[..., 1], u[..., 2]
    h6 = np.where(v == r, (g - b) / safe, np.where(v == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    h6 = np.mod(np.where(spread == 0, 0, h6) + 6 * turn, 6)
    k = lambda n: np.mod(n + h6, 6)
    channel = lambda n: v - spread * np.clip(np.minimum(k(n), 4 - k(n)), 0, 1)
    return CUT(np.stack([channel(5), channel(3), channel(1)], -1) * 255.999)


def coverage(points, n, fine=64):
    """Share of fine × fine points of each pixel inside, by winding of the angles' signs (crossing test per point)."""
    ys, xs = np.mgrid[: n * fine, : n * fine]
    xs, ys = (xs + 0.5) / fine, (ys + 0.5) / fine
    inside = np.zeros_like(xs, dtype=bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]):
        if y0 == y1:
            continue
        crosses = (y0 <= ys) != (y1 <= ys)
        inside ^= crosses & (xs < x0 + (ys - y0) / (y1 - y0) * (x1 - x0))
    return inside.reshape(n, fine, n, fine).mean((1, 3))


def main():
    x = image()
    flat = lambda a: np.asarray(a).reshape(-1).tolist()
    polygon = [(1.3, 0.7), (11.2, 3.1), (9.6, 12.4), (5.5, 6.2), (0.4, 14.0)]
    out = {
        "side": SIDE,
        "image": flat(x),
        "flip": flat(x[:, ::-1]),
        "resize": [
            {"kind": kind, "rows": rows, "columns": columns, "pixels": flat(resize(x, kind, rows, columns))}
            for kind in ["nearest", "linear", "area", "cubic", "lanczos4"]
            for rows, columns in [(5, 6), (12, 13), (13, 13), (17, 29)]
        ],
        "crop": {"top": 2, "left": 5, "height": 9, "width": 6, "pixels": flat(resize(x[2:11, 5:11], "linear", SIDE, SIDE))},
        "blur": [{"sigma": s, "pixels": flat(blur(x, s))} for s in [0.3, 1.0, 2.7]],
        "rotate": [{"degrees": d, "about": a, "pixels": flat(rotate(x, d, a))} for d, a in [(10, "centre"), (-7.5, "corner"), (90, "centre")]],
        "brightness": [{"factor": f, "pixels": flat(blend(x, 0, f))} for f in [0, 0.53, 1.7]],
        "contrast": [{"factor": f, "pixels": flat(blend(x, luma(x).mean(), f))} for f in [0, 0.53, 1.7]],
        "saturation": [{"factor": f, "pixels": flat(blend(x, luma(x)[..., None], f))} for f in [0, 0.53, 1.7]],
        "hue": [{"factor": f, "pixels": flat(hue(x, f))} for f in [-0.5, -0.07, 0.11, 0.5]],
        "grey": flat(np.repeat(ROUND(x @ np.array([0.299, 0.587, 0.114]))[..., None], 3, -1)),
        "coverage": {"points": polygon, "share": np.round(coverage(polygon, SIDE), 5).reshape(-1).tolist()},
    }
    print(json.dumps(out, separators=(",", ":")))


if __name__ == "__main__":
    main()
