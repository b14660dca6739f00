"""Expected fairness figures, from NumPy alone: every figure by its definition over all pairs, without tables.

    python3 make_expected.py > expected.json
"""

import itertools
import json

import numpy as np


def rates(similarity, same, group, a, b, threshold, groups, w):
    """[FMR, FNMR] of each group, every pair weighing w[a] (same) or w[a]·w[b] (different); None without weight."""
    out = []
    for g in groups:
        row = []
        for kind in (False, True):
            m = (group == g) & (same == kind)
            weight = np.where(kind, w[a], w[a] * w[b]) * m
            wrong = (similarity >= threshold) != same
            row.append(float((weight * wrong).sum() / weight.sum()) if weight.sum() > 0 else None)
        out.append(row)
    return out


def measures(table, alpha):
    fmr, fnmr = [r[0] for r in table], [r[1] for r in table]

    def pairwise(x):
        return max(abs(i - j) for i, j in itertools.combinations(x, 2))

    def ratio(x):
        return None if min(x) == 0 else max(x) / min(x)

    def gini(x):
        n, mean = len(x), np.mean(x)
        if mean == 0:
            return None
        return n / (n - 1) * sum(abs(i - j) for i in x for j in x) / (2 * n**2 * mean)

    def combine(f, neutral, join):
        parts = []
        for x, weight in ((fmr, alpha), (fnmr, 1 - alpha)):
            parts.append(neutral if weight == 0 else (None if None in x else f(x)))
        return None if None in parts else float(join(*parts))

    return {
        "fdr": combine(pairwise, 0, lambda p, q: 1 - (alpha * p + (1 - alpha) * q)),
        "inequity": combine(ratio, 1, lambda p, q: p**alpha * q ** (1 - alpha)),
        "garbe": combine(gini, 0, lambda p, q: alpha * p + (1 - alpha) * q),
    }


def threshold_at(similarity, same, fmr):
    """Lowest score whose FMR does not exceed the target."""
    different = similarity[~same]
    ok = [t for t in np.unique(similarity) if np.mean(different >= t) <= fmr * (1 + 1e-12)]
    return float(min(ok))


def main():
    rng = np.random.default_rng(7)
    names = ["north", "south", "west"]
    group_of_person = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    people = len(group_of_person)
    rows = []
    for i, j in itertools.combinations_with_replacement(range(people), 2):
        for k in range(6 if i == j else 4):
            centre = [0.62, 0.55, 0.7][group_of_person[i]] if i == j else [0.1, 0.25, 0.15][group_of_person[i]]
            # Two digits, so that scores tie.
            rows.append((i, j, i == j, round(float(np.clip(rng.normal(centre, 0.2), -1, 1)), 2)))
    a, b = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    same, similarity = np.array([r[2] for r in rows]), np.array([r[3] for r in rows])
    group = np.where(group_of_person[a] == group_of_person[b], group_of_person[a], -1)
    weights = [np.ones(people)] + [np.bincount(rng.integers(0, people, people), minlength=people).astype(float) for _ in range(4)]
    weights.append(np.where(group_of_person == 2, 0.0, 1.0))
    t = threshold_at(similarity, same, 0.12)
    tables = [rates(similarity, same, group, a, b, t, range(3), w) for w in weights]
    cases = tables + [
        [[0.0, 0.1], [0.0, 0.3]],
        [[0.01, 0.0], [0.02, 0.1], [0.0, 0.2]],
        [[0.02, 0.3], [0.02, 0.3], [0.02, 0.3]],
        [[None, 0.1], [0.2, 0.2]],
    ]
    values = rng.normal(size=37)
    print(
        json.dumps(
            {
                "names": names,
                "groupOfPerson": group_of_person.tolist(),
                "pairs": [{"a": int(r[0]), "b": int(r[1]), "similarity": r[3]} for r in rows],
                "fmr": 0.12,
                "threshold": t,
                "weights": [w.tolist() for w in weights],
                "rates": tables,
                "measures": [{"rates": c, "alpha": alpha, **measures(c, alpha)} for c in cases for alpha in (0.5, 0.2, 0, 1)],
                "percentiles": {"values": values.tolist(), "shares": [0, 0.025, 0.5, 0.975, 1], "expected": np.percentile(values, [0, 2.5, 50, 97.5, 100]).tolist()},
            },
            separators=(",", ":"),
        )
    )


main()
