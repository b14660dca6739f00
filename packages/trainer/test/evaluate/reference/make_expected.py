"""Expected figures for the verification tests, from NumPy alone and written independently of the TypeScript.

Follows the LFW protocol as InsightFace computes it: squared distances of unit embeddings, ten unshuffled folds, thresholds
0, 0.01 … 3.99 for accuracy (ties: the lowest) and 0, 0.001 … 3.999 for VAL@FAR, straight lines between (FAR, threshold).

    python3 make_expected.py > expected.json
"""

import json

import numpy as np


def folds_of(n, k):
    """scikit-learn's KFold(k, shuffle=False): list of test index arrays."""
    return np.array_split(np.arange(n), k)


def accuracy_at(threshold, d, same):
    return np.mean((d < threshold) == same)


def val_far_at(threshold, d, same):
    accept = d < threshold
    return np.sum(accept & same) / np.sum(same), np.sum(accept & ~same) / np.sum(~same)


def interpolate(far, thresholds, target):
    """SciPy's linear spline through points whose FARs may repeat (interp1d, kind="slinear", up to SciPy 1.8; later ones refuse): the line from
    the last point at or below the target. Where points have exactly that FAR, the highest of their thresholds."""
    high = int(np.searchsorted(far, target, side="right"))
    low = high - 1
    if far[low] == target:
        return thresholds[low]
    return thresholds[low] + (target - far[low]) * (thresholds[high] - thresholds[low]) / (far[high] - far[low])


def protocol(embeddings_a, embeddings_b, same, folds, far_target):
    d = np.sum(np.square(embeddings_a - embeddings_b), axis=1)
    n = len(same)
    grid, fine = np.arange(0, 4, 0.01), np.arange(0, 4, 0.001)
    accuracies, thresholds, vals, fars = [], [], [], []
    for test in folds_of(n, folds):
        train = np.setdiff1d(np.arange(n), test)
        best = grid[np.argmax([accuracy_at(t, d[train], same[train]) for t in grid])]
        accuracies.append(accuracy_at(best, d[test], same[test]))
        thresholds.append(best)
        far_train = np.array([val_far_at(t, d[train], same[train])[1] for t in fine])
        threshold = interpolate(far_train, fine, far_target) if np.max(far_train) >= far_target else 0.0
        val, far = val_far_at(threshold, d[test], same[test])
        vals.append(val)
        fars.append(far)
    return {
        "foldAccuracies": accuracies,
        "foldThresholds": thresholds,
        "accuracyMean": np.mean(accuracies),
        "accuracyStd": np.std(accuracies),
        "valMean": np.mean(vals),
        "valStd": np.std(vals),
        "valFarMean": np.mean(fars),
    }


def over_all(similarities, same, fars):
    positive, negative = similarities[same], similarities[~same]
    greater = (positive[:, None] > negative[None, :]).mean()
    equal = (positive[:, None] == negative[None, :]).mean()
    candidates = np.concatenate([[np.inf], np.unique(similarities)[::-1]])
    far = np.array([(negative >= t).mean() for t in candidates])
    tar = np.array([(positive >= t).mean() for t in candidates])
    tar_at = [float(tar[far <= f].max()) for f in fars]
    # Equal error rate: bisection on the polyline's parameter u, FAR(u) - (1 - TAR(u)) being increasing.
    low, high = 0.0, len(far) - 1.0
    index = np.arange(len(far))
    for _ in range(200):
        u = (low + high) / 2
        if np.interp(u, index, far) < 1 - np.interp(u, index, tar):
            low = u
        else:
            high = u
    return {"auc": greater + equal / 2, "eer": np.interp(high, index, far), "tarAtFar": tar_at}


def case(name, seed, pairs, dim, noise, tied, folds, far_target, alternate=False):
    rng = np.random.default_rng(seed)
    same = np.arange(pairs) % 2 == 0 if alternate else rng.random(pairs) < 0.5
    a = rng.standard_normal((pairs, dim))
    b = np.where(same[:, None], a + noise * rng.standard_normal((pairs, dim)), rng.standard_normal((pairs, dim)))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    similarities = np.sum(a * b, axis=1)
    if tied:  # cosines on a coarse grid, whose squared distances 1.9974 - 0.198 k lie on no threshold; the pair is rebuilt in the plane
        similarities = np.round(similarities, 1) * 0.99 + 0.0013
        a = np.tile([1.0, 0.0], (pairs, 1))
        b = np.stack([similarities, np.sqrt(1 - similarities**2)], axis=1)
    fars = [1e-1, 1e-2]
    return {
        "name": name,
        "folds": folds,
        "valFar": far_target,
        "fars": fars,
        "same": same.tolist(),
        "similarities": similarities.tolist(),
        "expected": protocol(a, b, same, folds, far_target) | over_all(similarities, same, fars),
    }


if __name__ == "__main__":
    print(
        json.dumps(
            [
                case("overlapping", 1, 403, 16, 1.4, False, 10, 1e-2),
                case("well separated", 2, 300, 32, 0.5, False, 10, 1e-1),
                case("ties", 3, 250, 4, 1.0, True, 5, 5e-2),
                case("FAR below one different pair", 4, 120, 8, 1.0, False, 6, 1e-3),
                case("FAR met exactly", 5, 250, 8, 1.2, False, 5, 0.05, alternate=True),
            ],
            default=float,
        )
    )
