"""Writes a small dataset as MXNet's im2rec of InsightFace lays it out (face2rec2.py: images first, then the header as record 0, then
identities), with struct alone: an independent writer for the tests of src/data/recordio. Usage: python3 make_records.py FOLDER."""
import struct, sys, zlib

MAGIC = 0xCED7230A

def png(shade, comment):
    """A 4×4 PNG; the comment is a chunk of its own, padded so that its text begins at a multiple of 4 of the record's payload."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + bytes([shade, 20 * row, 255 - shade] * 4) for row in range(4))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 4, 4, 8, 2, 0, 0, 0)) + chunk(b'tEXt', comment)
            + chunk(b'IDAT', zlib.compress(rows, 9)) + chunk(b'IEND', b''))

def image_record(labels, key, image=b''):
    if len(labels) == 1:
        return struct.pack('<IfQQ', 0, labels[0], key, 0) + image
    return struct.pack('<IfQQ', len(labels), 0, key, 0) + struct.pack(f'<{len(labels)}f', *labels) + image

def record(payload):
    out, start, at = b'', 0, 0
    def part(flag, data):
        return struct.pack('<II', MAGIC, flag << 29 | len(data)) + data
    while at + 4 <= len(payload):
        if struct.unpack_from('<I', payload, at)[0] == MAGIC:
            out += part(1 if start == 0 else 2, payload[start:at])
            start = at + 4
        at += 4
    out += part(3 if start else 0, payload[start:])
    return out + b'\0' * (-len(out) % 4)

def main(folder):
    magic = struct.pack('<I', MAGIC)
    images = [(0, b'a\0plain'), (0, b'a\0b' + magic + b'cdef' + magic + magic), (2, b'a\0' + magic), (2, b'last')]
    first = len(images) + 1
    payloads = [(i + 1, image_record([float(label), 1.0] if i == 3 else [float(label)], i + 1, png(50 * i, comment)))
                for i, (label, comment) in enumerate(images)]
    payloads.append((0, image_record([float(first), float(first + 2)], 0)))
    payloads.append((first, image_record([1.0, 3.0], first)))
    payloads.append((first + 1, image_record([3.0, 5.0], first + 1)))
    offset = 0
    with open(f'{folder}/faces.rec', 'wb') as rec, open(f'{folder}/faces.idx', 'w') as idx:
        for key, payload in payloads:
            data = record(payload)
            rec.write(data)
            idx.write(f'{key}\t{offset}\n')
            offset += len(data)
    for i, (label, comment) in enumerate(images):
        with open(f'{folder}/{i + 1}.png', 'wb') as f:
            f.write(png(50 * i, comment))

main(sys.argv[1])
