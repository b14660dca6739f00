"""Writes vectors.json: pickles by CPython's own pickler (protocols 0 to 5), pickles with Python 2's opcodes by hand, and what pickle.load makes of
each. Usage: python3 make_pickles.py > vectors.json; needs NumPy."""
import base64, collections, io, json, pickle, pickletools, struct, sys
import numpy as np

def tag(value):
    """A value as JSON: what JSON has no type for is an object of one key."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2 ** 53 else {'int': str(value)}
    if isinstance(value, float):
        return value if value == value and abs(value) != float('inf') else {'float': repr(value)}
    if isinstance(value, (bytes, bytearray)):
        return {'bytes': bytes(value).hex()}
    if isinstance(value, (list, tuple)):
        return [tag(item) for item in value]
    if isinstance(value, dict):
        return {'dict': [[tag(k), tag(v)] for k, v in value.items()]}
    if isinstance(value, (set, frozenset)):
        return {'set': sorted(tag(item) for item in value)}
    if isinstance(value, np.ndarray):
        order = 'F' if value.flags.f_contiguous and not value.flags.c_contiguous else 'C'
        return {'array': [value.dtype.kind + str(value.dtype.itemsize), list(value.shape), order, value.ravel(order).tolist()]}
    if isinstance(value, np.generic):
        return {'array': [value.dtype.kind + str(value.dtype.itemsize), [], 'C', [value.item()]]}
    raise TypeError(type(value))

def cases():
    shared = ['shared', b'shared']
    recordings = collections.OrderedDict([('conv.weight', 1), ('conv.bias', 2)])
    recordings._metadata = collections.OrderedDict([('', {'version': 1})])
    values = {
        'constants': [None, True, False],
        'ints': [0, 1, -1, 255, 256, 65535, 65536, -(2 ** 31), 2 ** 31 - 1, 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, 2 ** 53 + 1, -(2 ** 63),
                 2 ** 64, 12345678901234567890123456789, -(10 ** 700)],
        'floats': [0.0, 1.5, -2.25e-300, 1e308, float('inf'), float('-inf'), float('nan'), 0.1],
        'text': ['', 'plain', 'n\u00e4ive \u20ac \U0001f600', 'line\nbreak\\ and \\u0041', '\ufeffbom', 'x' * 300],
        'bytes': [b'', b'abc', bytes(range(256)), b'y' * 300, bytearray(b'changing')],
        'nested': [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [[], [[]]], {}, {'a': {'b': [1, {2: 3}]}}, {(1, 2): 'tuple key'}],
        'sets': [{1, 2, 3}, frozenset([4, 5]), set()],
        'shared': [shared, shared, (shared, shared)],
        'many': [list(range(1100)), {i: str(i) for i in range(300)}],
        'ordered': recordings,
        'arrays': [np.arange(12, dtype=np.uint8).reshape(3, 4), np.arange(6, dtype='>i4'), np.float64([[1.5, -2.0]]).T.copy('F'),
                   np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), np.array([True, False]), np.zeros((0, 3), np.int64)],
        'scalars': [np.bool_(True), np.bool_(False), np.uint8(7), np.int64(-5), np.float32(0.25)],
    }
    for name, value in values.items():
        for protocol in [1, 4] if name == 'many' else range(6):
            yield name, protocol, pickle.dumps(value, protocol), value
    yield 'optimized', 4, pickletools.optimize(pickle.dumps(values['shared'], 4)), values['shared']
    yield 'python without C', 2, pickle._dumps(values['nested'], 2), values['nested']

def python2_cases():
    """What cPickle of Python 2 writes for str: STRING, BINSTRING, SHORT_BINSTRING. Each is checked against pickle.load."""
    raw = bytes(range(256))
    quoted = b"S'" + b''.join(b'\\x%02x' % byte for byte in raw) + b"'\n"
    protocol0 = b"(lp1\n" + quoted + b"p2\naS'it\\'s\\t\\\\ \\101'\np3\naS\"plain\"\np4\naVw\\u00e4rter\np5\naI01\naI00\naL12L\naF1.5\na."
    long = raw * 2
    protocol2 = (b'\x80\x02]q\x01(U\x03abcq\x02T' + struct.pack('<i', len(long)) + long + b'q\x03X\x03\x00\x00\x00\xe2\x82\xac' + b'q\x04\x88\x89K\x07h\x02e.')
    # numpy 1 under Python 2.7: ndarray.__reduce__ with str for the raw data.
    array = (b'\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01K\x04\x85cnumpy\ndtype\nq\x04'
             b'U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\xff\xd8\xff\xe0tb.')
    for name, protocol, data in [('python 2 text', 0, protocol0), ('python 2 binary', 2, protocol2), ('python 2 array', 2, array)]:
        for encoding in ['latin1', 'bytes']:
            yield name, protocol, data, pickle.loads(data, encoding=encoding), encoding

class Storage:
    """Stands for what torch.save keeps outside of the pickle."""
    def __init__(self, key):
        self.key = key

class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return ('storage', collections.OrderedDict, obj.key, 'cpu', 4) if isinstance(obj, Storage) else None

def main():
    out = []
    def add(name, protocol, data, value, encoding='latin1'):
        out.append({'name': f'{name}, protocol {protocol}', 'encoding': encoding, 'pickle': base64.b64encode(data).decode(), 'value': tag(value)})
    for case in cases():
        loaded = pickle.loads(case[2])
        assert json.dumps(tag(loaded)) == json.dumps(tag(case[3])), case[:2]
        add(*case)
    for name, protocol, data, value, encoding in python2_cases():
        add(f'{name} as {encoding}', protocol, data, value, encoding)
    persistent = []
    for protocol in [2, 4]:
        file = io.BytesIO()
        Pickler(file, protocol).dump({'w': Storage('0'), 'b': Storage('1')})
        persistent.append(base64.b64encode(file.getvalue()).decode())
    json.dump({'cases': out, 'persistent': persistent}, sys.stdout, separators=(',', ':'))
    print()

main()
