"""Writes small benchmarks in the layout of IJB-B and IJB-C, and ijb.json with what the protocols answer on them. NumPy alone, written
independently of the TypeScript, straight from the protocol's text: loops over templates, media and probes, argsort-free ranks.

IJBC/ has random vectors as embeddings (embeddings.npy, and mirrored.npy for the mirrored images) and no images. IJBB/ has tiny pictures; its
"model" is the mean of each 16x16 block of the aligned picture.

Where scikit-learn is installed the curve's points are checked against its roc_curve.

    python3 make_ijb.py
"""

import json
import struct
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FARS = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
FPIRS = [0.01, 0.1]
RANKS = [1, 5, 10]


# ---- the protocol

def templates_of(features, templates, media, scores, mirrored=None, norm=True, detector=True):
    features = features.astype(np.float64)
    if mirrored is not None:
        features = features + mirrored.astype(np.float64)
    if not norm:
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
    if detector:
        features = features * scores[:, None]
    result = {}
    for template in np.unique(templates):
        total = np.zeros(features.shape[1])
        for medium in np.unique(media[templates == template]):
            total += features[(templates == template) & (media == medium)].mean(axis=0)
        result[int(template)] = total / np.linalg.norm(total)
    return result


def curve(same, score, keep_all):
    """False and true accepts at each different score, falling, after (0, 0); without keep_all as scikit-learn's drop_intermediate leaves them."""
    points = [(np.sum(score[same == 0] >= t), np.sum(score[same == 1] >= t)) for t in np.unique(score)[::-1]]
    fps, tps = np.array(points, dtype=np.float64).T
    if not keep_all and len(fps) > 2:
        bend = np.logical_or(np.diff(fps, 2), np.diff(tps, 2))
        kept = np.concatenate([[True], bend, [True]])
        fps, tps = fps[kept], tps[kept]
    return np.concatenate([[0], fps]) / np.sum(same == 0), np.concatenate([[0], tps]) / np.sum(same == 1)


def nearest(far, tar, target):
    far, tar = far[::-1], tar[::-1]
    _, index = min(zip(abs(far - target), range(len(far))))
    return {"tar": tar[index], "measuredFar": far[index]}


def strict(far, tar, target, impostors):
    if impostors * target < 1 - 1e-9:
        return None
    index = np.nonzero(far <= target * (1 + 1e-12))[0][-1]
    return {"tar": tar[index], "measuredFar": far[index]}


def verification(vectors, pairs):
    score = np.array([vectors[a] @ vectors[b] for a, b, _ in pairs])
    same = np.array([label for _, _, label in pairs])
    # What is equal by construction must not differ by the order of a sum.
    score = np.round(score, 14)
    far, tar = curve(same, score, keep_all=False)
    all_far, all_tar = curve(same, score, keep_all=True)
    try:
        from sklearn.metrics import roc_auc_score, roc_curve

        sk_far, sk_tar, _ = roc_curve(same, score)
        assert np.array_equal(sk_far, far) and np.array_equal(sk_tar, tar)
        assert abs(roc_auc_score(same, score) - np.trapezoid(all_tar, all_far)) < 1e-12
    except ImportError:
        print("no scikit-learn: its curve was not compared")
    return {
        "scores": score.tolist(),
        "nearest": [nearest(far, tar, f) for f in FARS],
        # Differs from `nearest` where scikit-learn leaves out the nearest point.
        "nearestOfAllPoints": [nearest(all_far, all_tar, f) for f in FARS],
        "strict": [strict(all_far, all_tar, f, int(np.sum(same == 0))) for f in FARS],
        "auc": float(np.trapezoid(all_tar, all_far)),
    }


def identification(vectors, gallery, probes):
    mates, others, ahead, non_mated = [], [], [], []
    for probe, subject in probes.items():
        own = [np.round(vectors[probe] @ vectors[g], 14) for g, s in gallery.items() if s == subject]
        rest = [np.round(vectors[probe] @ vectors[g], 14) for g, s in gallery.items() if s != subject]
        if not own:
            non_mated.append(max(rest))
            continue
        mates.append(max(own))
        others.append(max(rest))
        ahead.append(sum(score >= max(own) for score in rest))
    mates, others, ahead = map(np.array, (mates, others, ahead))
    descending = np.sort(non_mated)[::-1]
    figures = []
    for fpir in FPIRS:
        threshold = descending[max(int(len(descending) * fpir) - 1, 0)]
        found = np.logical_and(mates > others, mates > threshold)
        figures.append({"tpir": found.mean(), "threshold": threshold, "measuredFpir": np.mean(descending > threshold)})
    return {
        "mated": len(mates),
        "nonMated": len(non_mated),
        "tpirAtFpir": figures,
        "cmc": [float(np.mean(ahead < rank)) for rank in RANKS],
    }


# ---- IJB-C with vectors

def make_ijbc(rng):
    """Two galleries of different subjects, probes of both and of strangers."""
    dim, subjects = 12, 44
    people = rng.normal(size=(subjects, dim))
    rows, subject_of = [], {}
    number = 7

    def template(subject, sizes, noise):
        """A template with media of these numbers of frames."""
        nonlocal number
        number += int(rng.integers(1, 4))
        subject_of[number] = subject
        for frames in sizes:
            medium = int(rng.integers(1, 60000))
            for _ in range(frames):
                vector = (people[subject] + rng.normal(size=dim) * noise) * rng.uniform(0.5, 2)
                rows.append([number, medium, vector, vector + rng.normal(size=dim) * 0.1, round(rng.uniform(0.1, 1), 3)])
        return number

    galleries = [{}, {}]
    for subject in range(36):
        side = galleries[subject % 2]
        side[template(subject, rng.integers(1, 4, size=rng.integers(1, 4)), 1.0)] = subject + 100
    probes = {}
    for subject in list(range(subjects)) * 2:
        probes[template(subject, [1] if subject % 3 else [1, 2, 4], 1.5)] = subject + 100
    # Ties: templates that have the only image of another, of its subject and of others.
    singles = [t for t in probes if sum(row[0] == t for row in rows) == 1]
    for source, shift in [(singles[0], 0), (singles[1], 2), (singles[1], 4)]:
        _, medium, vector, mirrored, score = next(row for row in rows if row[0] == source)
        number += 2
        subject_of[number] = (subject_of[source] + shift) % 36 if shift else subject_of[source]
        rows.append([number, medium + 1, vector, mirrored, score])
        subject = subject_of[number] + 100
        if shift == 0:
            probes[number] = subject
        else:
            # In the place of the subject's own: two subjects of a gallery with the same vector, which is also a probe's of a third.
            gallery = galleries[subject_of[number] % 2]
            del gallery[next(t for t, s in gallery.items() if s == subject)]
            gallery[number] = subject
    # One medium in two templates is two media.
    rows[3][1] = rows[-1][1]
    order = rng.permutation(len(rows))
    rows = [rows[i] for i in order]

    numbers = sorted(subject_of)
    pairs = []
    for a in galleries[0] | galleries[1]:
        for b in probes:
            same = int(subject_of[a] == subject_of[b])
            if same or rng.uniform() < 0.35:
                pairs.append((a, b, same))
    assert {a for a, _, _ in pairs} | {b for _, b, _ in pairs} <= set(numbers)

    meta = HERE / "IJBC" / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    names = [f"{i + 1}.jpg" for i in range(len(rows))]
    (meta / "ijbc_face_tid_mid.txt").write_text("".join(f"{n} {r[0]} {r[1]}\n" for n, r in zip(names, rows)))
    landmarks = "46.060 62.026 87.785 60.323 68.851 77.656 52.162 99.875 86.450 98.648"
    (meta / "ijbc_name_5pts_score.txt").write_text("".join(f"{n} {landmarks} {r[4]:.3f}\n" for n, r in zip(names, rows)))
    (meta / "ijbc_template_pair_label.txt").write_text("".join(f"{a} {b} {s}\n" for a, b, s in pairs))
    # As the original lists: a line an image, further columns, Windows line ends.
    for path, templates in [("gallery_G1", galleries[0]), ("gallery_G2", galleries[1]), ("probe_mixed", probes)]:
        lines = ["TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID"]
        for row, name in zip(rows, names):
            if row[0] in templates:
                lines.append(f"{row[0]},{templates[row[0]]},img/{name},{row[1]}")
        (meta / f"ijbc_1N_{path}.csv").write_bytes("".join(f"{line}\r\n" for line in lines).encode())

    features = np.array([r[2] for r in rows], dtype=np.float32)
    mirrored = np.array([r[3] for r in rows], dtype=np.float32)
    np.save(HERE / "IJBC" / "embeddings.npy", features)
    np.save(HERE / "IJBC" / "mirrored.npy", mirrored)
    columns = [np.array([r[i] for r in rows]) for i in (0, 1)]
    scores = np.array([np.float32(r[4]) for r in rows], dtype=np.float64)
    cases = []
    for flip in (True, False):
        for norm in (True, False):
            for detector in (True, False):
                vectors = templates_of(features, *columns, scores, mirrored if flip else None, norm, detector)
                case = {"flip": flip, "normScore": norm, "detectorScore": detector}
                case |= verification(vectors, pairs)
                case["galleries"] = [identification(vectors, gallery, probes) for gallery in galleries]
                if not cases:
                    case["templates"] = {str(t): v.tolist() for t, v in vectors.items()}
                else:
                    del case["scores"]
                cases.append(case)
    differs = [f for c in cases for f, a, b in zip(FARS, c["nearest"], c["nearestOfAllPoints"]) if a != b]
    assert differs, "no case where scikit-learn's dropped points matter: take another seed"
    return {"fars": FARS, "images": len(rows), "pairs": len(pairs), "cases": cases}


# ---- IJB-B with pictures

def png(path, pixels):
    height, width, _ = pixels.shape
    raw = b"".join(b"\0" + pixels[y].tobytes() for y in range(height))
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def align(image, points):
    """The least-squares similarity as a linear system, and bilinear sampling as a sum over all pixels."""
    system, target = [], []
    for (x, y), (u, v) in zip(points, TEMPLATE):
        system += [[x, -y, 1, 0], [y, x, 0, 1]]
        target += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.array(system), np.array(target), rcond=None)[0]
    inverse = np.linalg.inv([[a, -b, tx], [b, a, ty], [0, 0, 1]])[:2]
    ys, xs = np.mgrid[0:112, 0:112]
    where = inverse @ np.stack([xs.ravel(), ys.ravel(), np.ones(xs.size)])
    wx = np.maximum(0, 1 - np.abs(where[0][:, None] - np.arange(image.shape[1])))
    wy = np.maximum(0, 1 - np.abs(where[1][:, None] - np.arange(image.shape[0])))
    return np.floor(np.einsum("py,px,yxc->pc", wy, wx, image.astype(np.float64)).reshape(112, 112, 3) + 0.5)


def block_means(aligned):
    unit = (aligned / 255 - 0.5) / 0.5
    return unit.reshape(7, 16, 7, 16, 3).mean(axis=(1, 3)).ravel()


def make_ijbb(rng):
    folder = HERE / "IJBB"
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    (folder / "loose_crop").mkdir(exist_ok=True)
    # Template, medium, subject.
    layout = [(10, 1, 0), (10, 2, 0), (11, 3, 0), (11, 3, 0), (11, 3, 0), (12, 4, 1), (13, 5, 1), (13, 5, 1), (14, 6, 2), (15, 7, 2), (15, 8, 2)]
    looks = rng.integers(40, 216, (3, 6, 5, 3))
    faces, points_lines, features, mirrored, scores = "", "", [], [], []
    for i, (template, medium, subject) in enumerate(layout):
        height, width = (int(n) for n in rng.integers(26, 40, 2))
        ys, xs = np.arange(height) * 6 // height, np.arange(width) * 5 // width
        picture = looks[subject][np.ix_(ys, xs)] + rng.integers(-40, 40, (height, width, 3))
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        points = np.round((TEMPLATE / 112 * [width, height]) + rng.normal(0, 1, (5, 2)), 3)
        score = round(float(rng.uniform(0.6, 1)), 3)
        name = f"{i + 1}.png"
        png(folder / "loose_crop" / name, pixels)
        faces += f"{name} {template} {medium}\n"
        points_lines += f"{name} {' '.join(f'{c:.3f}' for c in points.ravel())} {score:.3f}\n"
        # Landmarks are read as float32.
        aligned = align(pixels, points.astype(np.float32).astype(np.float64))
        features.append(block_means(aligned))
        mirrored.append(block_means(aligned[:, ::-1]))
        scores.append(np.float32(score))
    (folder / "meta" / "ijbb_face_tid_mid.txt").write_text(faces)
    (folder / "meta" / "ijbb_name_5pts_score.txt").write_text(points_lines)
    subject_of = {t: s for t, _, s in layout}
    pairs = [(a, b, int(subject_of[a] == subject_of[b])) for a in subject_of for b in subject_of if a < b]
    (folder / "meta" / "ijbb_template_pair_label.txt").write_text("".join(f"{a} {b} {s}\n" for a, b, s in pairs))
    columns = [np.array([row[i] for row in layout]) for i in (0, 1)]
    vectors = templates_of(np.array(features), *columns, np.array(scores, dtype=np.float64), np.array(mirrored))
    return {"embeddings": np.round(features, 6).tolist(), "mirrored": np.round(mirrored, 6).tolist(), **verification(vectors, pairs)}


generator = np.random.default_rng(2018)
expected = {"ijbc": make_ijbc(generator), "ijbb": make_ijbb(generator)}
(HERE / "ijb.json").write_text(json.dumps(expected) + "\n")
print(expected["ijbc"]["images"], "images,", expected["ijbc"]["pairs"], "pairs")
for case in expected["ijbc"]["cases"][:2]:
    print([f["tar"] for f in case["nearest"]], [g["cmc"] for g in case["galleries"]], [g["tpirAtFpir"] for g in case["galleries"]])
