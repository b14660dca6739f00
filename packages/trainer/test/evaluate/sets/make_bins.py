"""Writes verification sets as InsightFace's scripts write them, under Python 2 and under Python 3, and what the protocol gives for them, from NumPy alone
(../reference/make_expected.py): python2.bin, python3.bin, expected.json, variants.json. Usage: python3 make_bins.py, in its folder.

The images are 8 × 8 PNGs of noise; the model is a fixed projection: embedding d of an image with values v in [-1, 1] is sum_p sin(1 + 0.7 d + 1.3 p) v[p].
"""
import base64, hashlib, json, pathlib, pickle, struct, sys, zlib
import numpy as np

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / 'reference'))
from make_expected import over_all, protocol

SIDE, DIM, PAIRS, FOLDS = 8, 12, 64, 10

def png(pixels):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + row.tobytes() for row in pixels)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', SIDE, SIDE, 8, 2, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(rows, 9))
            + chunk(b'IEND', b''))

def make_pairs():
    """Pixels [2N, 8, 8, 3] and labels [N]. Pair 5 begins with the image that pair 4 begins with."""
    rng = np.random.default_rng(7)
    same = rng.random(PAIRS) < 0.5
    for fold in np.array_split(np.arange(PAIRS), FOLDS):
        same[fold[:2]] = [True, False]
    images = []
    for i in range(PAIRS):
        a = rng.integers(0, 256, (SIDE, SIDE, 3))
        b = a + rng.normal(0, rng.choice([12, 70]), a.shape) if same[i] else 0.1 * a + 0.9 * rng.integers(0, 256, a.shape)
        images += [a, np.clip(np.round(b), 0, 255)]
    images[10] = images[8]
    return np.array(images).astype(np.uint8), same

def embed(pixels):
    """Flip-added unit embeddings [M, D] and the mean length before that (InsightFace's XNorm)."""
    weights = np.sin(1 + 0.7 * np.arange(DIM)[None, :] + 1.3 * np.arange(SIDE * SIDE * 3)[:, None])
    def forward(images):
        return ((images / 255 - 0.5) / 0.5).reshape(len(images), -1) @ weights
    plain, mirrored = forward(pixels), forward(pixels[:, :, ::-1])
    norms = np.concatenate([np.linalg.norm(plain, axis=1), np.linalg.norm(mirrored, axis=1)])
    total = plain + mirrored
    return total / np.linalg.norm(total, axis=1, keepdims=True), norms.mean()

def python2(bins, same):
    """pickle.dump((bins, issame_list), f, protocol=2) of Python 2's cPickle: images are str."""
    def text(data, memo):
        head = b'U' + bytes([len(data)]) if len(data) < 256 else b'T' + struct.pack('<i', len(data))
        return head + data + put(memo)
    def put(memo):
        return b'q' + bytes([memo]) if memo < 256 else b'r' + struct.pack('<I', memo)
    images = b''.join(text(data, i + 2) for i, data in enumerate(bins))
    labels = b''.join(b'\x88' if label else b'\x89' for label in same)
    return b'\x80\x02]' + put(1) + b'(' + images + b'e]' + put(len(bins) + 2) + b'(' + labels + b'e\x86' + put(len(bins) + 3) + b'.'

def variants(bins, same):
    """Other forms that are met: a name, the file, and nothing else: all hold the same images and labels."""
    labels = [bool(label) for label in same]
    text = pickle.loads(python2(bins, labels), encoding='latin1')
    arrays = [np.frombuffer(data, np.uint8) for data in bins]
    yield from ((f'bytes, protocol {p}', pickle.dumps((bins, labels), p)) for p in range(6))
    yield from ((f'python 2 read as latin1 and written again, protocol {p}', pickle.dumps(text, p)) for p in [2, 4])
    yield from ((f'numpy arrays and bools, protocol {p}', pickle.dumps((arrays, list(np.array(labels))), p)) for p in [2, 4, 5])
    yield 'an array of labels', pickle.dumps((bins, np.array(labels)), 4)
    yield 'labels as ints', pickle.dumps([bins, [int(label) for label in labels]], 4)
    yield 'numpy 1 under python 3', pickle.dumps((arrays, labels), 2).replace(b'numpy._core', b'numpy.core')
    yield 'python 2', python2(bins, labels)

def main():
    pixels, same = make_pairs()
    bins = [png(image) for image in pixels]
    (HERE / 'python2.bin').write_bytes(python2(bins, same))
    (HERE / 'python3.bin').write_bytes(pickle.dumps((bins, [bool(label) for label in same]), protocol=pickle.HIGHEST_PROTOCOL))
    assert pickle.loads((HERE / 'python2.bin').read_bytes(), encoding='bytes') == (bins, [bool(label) for label in same])
    embeddings, x_norm = embed(pixels)
    a, b = embeddings[0::2], embeddings[1::2]
    expected = protocol(a, b, same, FOLDS, 1e-3) | over_all(np.sum(a * b, axis=1), same, [1e-1]) | {'xNorm': x_norm, 'same': same.tolist()}
    (HERE / 'expected.json').write_text(json.dumps(expected, default=float) + '\n')
    few, labels = bins[:4], same[:2]
    (HERE / 'variants.json').write_text(json.dumps({
        'sha256': [hashlib.sha256(data).hexdigest() for data in few],
        'same': labels.tolist(),
        'files': {name: base64.b64encode(data).decode() for name, data in variants(few, labels)},
    }, indent=0) + '\n')
    print({key: value for key, value in expected.items() if not isinstance(value, list)})

main()
