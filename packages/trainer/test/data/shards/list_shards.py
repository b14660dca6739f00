"""Prints the members of tar files as JSON: [[name, contents in hex], ...]. An independent reader of what HyperArc writes."""
import json
import sys
import tarfile

members = []
for path in sys.argv[1:]:
    with tarfile.open(path, "r:") as shard:
        for member in shard:
            assert member.isreg(), member.name
            members.append([member.name, shard.extractfile(member).read().hex()])
print(json.dumps(members))
