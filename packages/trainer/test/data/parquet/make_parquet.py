"""Writes the Parquet files beside it, with pyarrow 25 (an independent writer): python3 make_parquet.py
Images are ../recordio/vectors/N.png."""
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

here = Path(__file__).parent
images = [(here.parent / "recordio" / "vectors" / f"{n}.png").read_bytes() for n in (1, 2, 3, 4)]

# As Hugging Face's datasets are: a group of bytes and path, labels as int64; two row groups.
image = pa.array([{"bytes": b, "path": f"{i}.png"} for i, b in enumerate(images)],
                 pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
table = pa.table({"image": image, "label": pa.array([10, 9, 10, 9], pa.int64())})
pq.write_table(table, here / "group.parquet", row_group_size=3, compression="zstd")

# Bytes and names, columns that are not asked for.
table = pa.table({"age": pa.array([1, 2, 3, 4], pa.int32()), "Identity": ["zoe", "zoe", "anna", "anna"], "jpg": images})
pq.write_table(table, here / "bytes.parquet", compression="snappy")

table = pa.table({"image": pa.array([images[0], None], pa.binary()), "label": [1, 2]})
pq.write_table(table, here / "null-image.parquet", compression="none")
table = pa.table({"image": images[:2], "label": pa.array([1, None], pa.int64())})
pq.write_table(table, here / "null-label.parquet", compression="gzip")
table = pa.table({"picture": images[:1], "label": [1]})
pq.write_table(table, here / "no-image.parquet")
table = pa.table({"image": images[:1], "age": [1.5]})
pq.write_table(table, here / "no-label.parquet")
