"""Writes expected.json: detectors' inputs and decoded outputs to test src/data/detect against.

Independent of the TypeScript: written from the papers and from what the published programs do (InsightFace's model_zoo/scrfd.py, OpenCV's
face_detect.cpp, biubug6's Pytorch_Retinaface), a loop a place, and a quadratic loop for the suppression of overlaps.
Usage: python make_expected.py > expected.json   (numpy 2.4)
"""

import base64
import json
import math
import sys

import numpy as np

HEIGHT, WIDTH = 64, 96


def b64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def letterbox(image, height, width, channels, mean, deviation):
    """The image as large as it fits, top left, black around; bilinear, centres on centres, edges repeated."""
    rows, columns, _ = image.shape
    ratio = rows / columns
    if ratio > height / width:
        new_h, new_w = height, int(height / ratio)
    else:
        new_w, new_h = width, int(width * ratio)
    new_w, new_h = max(1, new_w), max(1, new_h)
    canvas = np.zeros((height, width, 3))
    for y in range(new_h):
        v = min(max((y + 0.5) * rows / new_h - 0.5, 0.0), rows - 1.0)
        for x in range(new_w):
            u = min(max((x + 0.5) * columns / new_w - 0.5, 0.0), columns - 1.0)
            total = np.zeros(3)
            for j in {math.floor(v), min(rows - 1, math.floor(v) + 1)}:
                for i in {math.floor(u), min(columns - 1, math.floor(u) + 1)}:
                    total += max(0.0, 1 - abs(v - j)) * max(0.0, 1 - abs(u - i)) * image[j, i]
            canvas[y, x] = np.floor(total + 0.5)
    if channels == "BGR":
        canvas = canvas[:, :, ::-1]
    return ((canvas - np.array(mean)) / deviation).transpose(2, 0, 1).astype(np.float32), new_w, new_h


def suppress(faces, threshold, pixel):
    """Faces as (score, box, points), best first; equals in the order given."""
    order = sorted(range(len(faces)), key=lambda i: (-faces[i][0], i))
    keep = []
    for i in order:
        for k in keep:
            a, b = faces[i][1], faces[k][1]
            w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + pixel)
            h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + pixel)
            area = [(r[2] - r[0] + pixel) * (r[3] - r[1] + pixel) for r in (a, b)]
            if w * h / (area[0] + area[1] - w * h) > threshold:
                break
        else:
            keep.append(i)
    return [faces[i] for i in keep]


def scores(rng, n, planted):
    """Mostly low; a few high ones, some of them equal."""
    s = rng.uniform(0, 0.45, n).astype(np.float32)
    at = rng.choice(n, size=planted, replace=False)
    s[at] = rng.uniform(0.5, 1, planted).astype(np.float32)
    s[at[: planted // 3]] = np.float32(0.75)
    return s


def scrfd(rng, strides, anchors):
    outputs, candidates = {"score": [], "bbox": [], "kps": []}, []
    for stride in strides:
        rows, columns = math.ceil(HEIGHT / stride), math.ceil(WIDTH / stride)
        n = rows * columns * anchors
        s = scores(rng, n, min(n, 1 + n // 6))
        box = rng.uniform(0.2, 3, (n, 4)).astype(np.float32)
        kps = rng.normal(0, 1.5, (n, 10)).astype(np.float32)
        for name, value in (("score", s[:, None]), ("bbox", box), ("kps", kps)):
            outputs[name].append((f"{name}_{stride}", value))
        index = 0
        for r in range(rows):
            for c in range(columns):
                for _ in range(anchors):
                    if s[index] >= 0.5:
                        x, y = c * stride, r * stride
                        d = box[index].astype(np.float64) * stride
                        k = kps[index].astype(np.float64) * stride
                        candidates.append(
                            (float(s[index]), [x - d[0], y - d[1], x + d[2], y + d[3]],
                             [[x + k[2 * i], y + k[2 * i + 1]] for i in range(5)])
                        )
                    index += 1
    return [pair for name in outputs for pair in outputs[name]], candidates, (0.4, 1)


def yunet(rng):
    outputs, candidates = {"cls": [], "obj": [], "bbox": [], "kps": []}, []
    for stride in (8, 16, 32):
        rows, columns = HEIGHT // stride, WIDTH // stride
        n = rows * columns
        # Beyond 1 and below 0, which are cut.
        cls, obj = scores(rng, n, 1 + n // 4) * np.float32(1.3), scores(rng, n, 1 + n // 4) + np.float32(0.3)
        cls[0], obj[0] = -0.1, 0.9
        box = rng.normal(0, 0.6, (n, 4)).astype(np.float32)
        kps = rng.normal(0, 1.5, (n, 10)).astype(np.float32)
        for name, value in (("cls", cls[:, None]), ("obj", obj[:, None]), ("bbox", box), ("kps", kps)):
            outputs[name].append((f"{name}_{stride}", value[None].astype(np.float32)))
        for index in range(n):
            r, c = divmod(index, columns)
            score = math.sqrt(min(max(float(cls[index]), 0), 1) * min(max(float(obj[index]), 0), 1))
            if score < 0.5:
                continue
            b, k = box[index].astype(np.float64), kps[index].astype(np.float64)
            cx, cy, w, h = (c + b[0]) * stride, (r + b[1]) * stride, math.exp(b[2]) * stride, math.exp(b[3]) * stride
            candidates.append(
                (score, [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2],
                 [[(c + k[2 * i]) * stride, (r + k[2 * i + 1]) * stride] for i in range(5)])
            )
    return [pair for name in outputs for pair in outputs[name]], candidates, (0.3, 0)


def retinaface(rng):
    # In the paper's form: priors in shares of the image, variances 0.1 and 0.2.
    priors = []
    for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        for i in range(math.ceil(HEIGHT / stride)):
            for j in range(math.ceil(WIDTH / stride)):
                for side in sides:
                    priors.append([(j + 0.5) * stride / WIDTH, (i + 0.5) * stride / HEIGHT, side / WIDTH, side / HEIGHT])
    priors = np.array(priors)
    n = len(priors)
    loc = rng.normal(0, 2, (n, 4)).astype(np.float32)
    landms = rng.normal(0, 3, (n, 10)).astype(np.float32)
    face = scores(rng, n, n // 6)
    conf = np.stack([1 - face, face], 1).astype(np.float32)
    candidates = []
    for index in np.flatnonzero(face >= 0.5):
        p, d, k = priors[index], loc[index].astype(np.float64), landms[index].astype(np.float64)
        centre = p[:2] + d[:2] * 0.1 * p[2:]
        size = p[2:] * np.exp(d[2:] * 0.2)
        box = np.concatenate([centre - size / 2, centre + size / 2]) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
        points = [((p[:2] + k[2 * i : 2 * i + 2] * 0.1 * p[2:]) * [WIDTH, HEIGHT]).tolist() for i in range(5)]
        candidates.append((float(face[index]), box.tolist(), points))
    return [("output", loc[None]), ("outputt", conf[None]), ("outputtt", landms[None])], candidates, (0.4, 1)


def case(name, kind, made):
    outputs, candidates, (threshold, pixel) = made
    exact = lambda values: [round(v, 10) for v in values]
    as_json = [{"score": round(s, 10), "box": exact(b), "points": [exact(p) for p in ps]} for s, b, ps in candidates]
    kept = suppress(candidates, threshold, pixel)
    return {
        "name": name,
        "kind": kind,
        "size": {"width": WIDTH, "height": HEIGHT},
        "outputs": [{"name": n, "dims": list(v.shape), "data": b64(v)} for n, v in outputs],
        "candidates": as_json,
        "kept": [candidates.index(face) for face in kept],
    }


def boxes(image_sizes):
    rng = np.random.default_rng(7)
    cases = []
    for (rows, columns), (channels, mean, deviation) in image_sizes:
        image = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        values, new_w, new_h = letterbox(image.astype(np.float64), 16, 24, channels, mean, deviation)
        cases.append(
            {
                "image": {"width": columns, "height": rows, "data": b64(image)},
                "size": {"width": 24, "height": 16},
                "rule": {"channels": channels, "mean": mean, "deviation": deviation},
                "fitted": [new_w, new_h],
                "values": b64(values),
            }
        )
    return cases


SCRFD = ("RGB", [127.5, 127.5, 127.5], 128)
rng = np.random.default_rng(11)
json.dump(
    {
        "decodings": [
            case("SCRFD, strides 8 to 32, two anchors", "scrfd", scrfd(rng, (8, 16, 32), 2)),
            case("SCRFD, strides 8 to 128, one anchor", "scrfd", scrfd(rng, (8, 16, 32, 64, 128), 1)),
            case("YuNet", "yunet", yunet(rng)),
            case("RetinaFace", "retinaface", retinaface(rng)),
        ],
        "letterboxes": boxes(
            [
                ((16, 24), SCRFD),
                ((50, 61), SCRFD),
                ((35, 10), ("BGR", [0, 0, 0], 1)),
                ((9, 70), ("BGR", [104, 117, 123], 1)),
                ((7, 11), SCRFD),
                ((1, 120), SCRFD),
            ]
        ),
    },
    sys.stdout,
)
