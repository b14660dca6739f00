"""Writes a small MegaFace in the layout of InsightFace's test suite, and megaface.json with what the protocol answers on it. NumPy alone, written
independently of the TypeScript: for each probe and mate a gallery of the mate and all distractors is sorted.

    python3 make_megaface.py
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "MegaFace"
RANKS = [1, 5, 10]
FARS = [1e-6, 1e-5, 1e-4, 1e-3]
DIM = 8


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def protocol(probes, people, distractors):
    """probes, distractors: unit rows."""
    # Equal vectors must have equal cosines whatever the order of the sum.
    cosines = np.round(probes @ distractors.T, 12)
    mates = np.round(probes @ probes.T, 12)
    ranks, genuine = [], []
    for i in range(len(probes)):
        for j in range(len(probes)):
            if i != j and people[i] == people[j]:
                gallery = np.concatenate([[mates[i, j]], cosines[i]])
                # The mate is last of those that are equally similar.
                ranks.append(1 + int(np.sum(gallery[1:] >= gallery[0])))
                genuine.append(mates[i, j])
    ranks, genuine = np.array(ranks), np.array(genuine)
    impostors = np.sort(cosines.ravel())[::-1]
    verification = []
    for far in FARS:
        if len(impostors) * far < 1 - 1e-9:
            verification.append(None)
            continue
        best = {"tar": 0.0, "measuredFar": 0.0, "threshold": None}
        for threshold in np.unique(np.concatenate([impostors, genuine])):
            measured = np.mean(impostors >= threshold)
            if measured <= far * (1 + 1e-12):
                best = {"tar": np.mean(genuine >= threshold), "measuredFar": measured, "threshold": threshold}
                break
        verification.append(best)
    return {"pairs": len(ranks), "rates": [float(np.mean(ranks <= r)) for r in RANKS], "verification": verification}


rng = np.random.default_rng(1)
names, centers = ["Ada_A", "Bo_B", "Cy_C", "Di_D", "Ed_E"], rng.normal(size=(5, DIM))
probe_paths, probe_rows, people = [], [], []
for p, name in enumerate(names):
    # One person with one image takes part as a probe of nothing.
    for image in range(1 if name == "Ed_E" else int(rng.integers(3, 7))):
        probe_paths.append(f"{name}/{name}_{rng.integers(1, 99999)}.png")
        probe_rows.append((centers[p] + rng.normal(size=DIM) * 0.8) * rng.uniform(0.5, 3))
        people.append(name)
distractor_paths = [f"{100 + i % 7}/{1000 + i}@N00/{i}_0.jpg" for i in range(600)]
distractor_rows = rng.normal(size=(600, DIM)) * rng.uniform(0.5, 3, (600, 1))
# Ties: the mate's own vector, scaled by a power of two, is a distractor; and twice.
distractor_rows[17] = probe_rows[1] * 2.0
distractor_rows[400] = probe_rows[1] * 0.5
# People of FaceScrub among the distractors, which the list of noises names.
noisy_distractors = [5, 250, 599]
for k, i in enumerate(noisy_distractors):
    distractor_rows[i] = probe_rows[2 * k] + rng.normal(size=DIM) * 0.01
noisy_probes = [0, 8]
for i in noisy_probes:
    probe_rows[i] = rng.normal(size=DIM)

HERE.mkdir(exist_ok=True)
(HERE / "facescrub_lst").write_text("".join(f"{path}\n" for path in probe_paths))
(HERE / "megaface_lst").write_text("".join(f"{path}\n" for path in distractor_paths))
(HERE / "facescrub_noises.txt").write_text("# names of files\n" + "".join(probe_paths[i].split("/")[1] + "\n" for i in noisy_probes))
lines = [f"{n}\t{distractor_paths[i]}\n" if n else f"{distractor_paths[i]}\n" for n, i in enumerate(noisy_distractors)]
(HERE / "megaface_noises.txt").write_text("# number, path\n" + "".join(lines))
# A list of the devkit: some of the distractors in another order.
subset = [int(i) for i in rng.permutation(600)[:100]]
(HERE / "megaface_features_list.json_100_1").write_text(json.dumps({"path": [distractor_paths[i] for i in subset]}))
probes = np.array(probe_rows, dtype=np.float32)
distractors = np.array(distractor_rows, dtype=np.float32)
np.save(HERE / "probes.npy", probes)
np.save(HERE / "distractors.npy", distractors)
np.save(HERE / "distractors_100.npy", distractors[subset])

probes, distractors = unit(probes.astype(np.float64)), unit(distractors.astype(np.float64))
people = np.array(people)
good_probes = np.setdiff1d(np.arange(len(probes)), noisy_probes)
good_distractors = np.setdiff1d(np.arange(600), noisy_distractors)
centered = probes.copy()
for i in noisy_probes:
    centered[i] = unit(sum(probes[j] for j in good_probes if people[j] == people[i]))
expected = {
    "raw": protocol(probes, people, distractors),
    "center": protocol(centered, people, distractors[good_distractors]),
    "drop": protocol(probes[good_probes], people[good_probes], distractors[good_distractors]),
    "subset": protocol(probes, people, distractors[subset]),
}
(HERE / "expected.json").write_text(json.dumps(expected) + "\n")
for name, figures in expected.items():
    print(name, figures)
