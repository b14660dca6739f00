"""Writes a tar file from JSON on standard input: {"path", "format": ustar|gnu|pax, "members": [[name, contents in hex], ...]}.
An independent writer for the tests of HyperArc's reader. A name that ends in / is a folder."""
import io
import json
import sys
import tarfile

job = json.load(sys.stdin)
formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
with tarfile.open(job["path"], "w", format=formats[job["format"]], pax_headers=job.get("global", {})) as shard:
    for name, contents in job["members"]:
        info = tarfile.TarInfo(name.rstrip("/"))
        if name.endswith("/"):
            info.type = tarfile.DIRTYPE
            shard.addfile(info)
            continue
        data = bytes.fromhex(contents)
        info.size = len(data)
        if job["format"] == "pax":
            info.pax_headers = {"mtime": "1234.5678901"}
        shard.addfile(info, io.BytesIO(data))
