#!/bin/sh
# HyperArc on a machine with no Node and no network: see README.md beside this file.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
export HYPERARC_ADDON="$here/hyperarc.node"
export HYPERARC_COMMIT='@COMMIT@'
node="$here/bin/node"

usage() {
  cat <<'END'
usage: run COMMAND [OPTION…]
  info                       what this bundle and this machine have
  verify                     checksums of every file
  test [GROUP…]              contract | random | identical | trouble | large; all of them by default
       --device cuda:0|cpu     --count N (random shapes, 10000)   --classes N (of `large`)
  sanitize [memcheck|racecheck|initcheck|synccheck]…
                             small shapes under compute-sanitizer; all four tools by default
  bench [--case PART…]       one step of the head beside its peers, with rooflines; needs a Python with torch for the peers:
       --device cuda:0         HYPERARC_PYTHON=/path/to/python3 run bench
       --kernels FAMILY        plain, mma or wgmma where a case leaves it to the engine
       --output FILE           records, gpu-records.jsonl by default; --quick tries the harness
  node FILE…                 your own program; lib/kernels-cuda.mjs is @hyperarc/kernels-cuda
END
}

# An older C library cannot load the addon; its own message names a symbol, not the reason.
wanted='@GLIBC@'
found=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //' || true)
if [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
  echo "run: expected glibc $wanted or newer, this machine has $found; make the bundle on a machine with an older one" >&2
  exit 2
fi

sanitize() {
  tool=$(command -v compute-sanitizer || echo "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer")
  if [ ! -x "$tool" ]; then
    echo "run: expected compute-sanitizer on the PATH or in CUDA_HOME/bin, found none; it is in the CUDA toolkit" >&2
    exit 2
  fi
  if [ $# -eq 0 ]; then set -- memcheck racecheck initcheck synccheck; fi
  failed=0
  for check in "$@"; do
    echo "=== $check"
    "$tool" --tool "$check" --error-exitcode 9 "$node" "$here/app/test.mjs" sanitize || failed=1
  done
  if [ $failed -ne 0 ]; then
    echo 'run: sanitize FAILED' >&2
    exit 1
  fi
  echo 'sanitize PASSED'
}

command=${1-help}
if [ $# -gt 0 ]; then shift; fi
case $command in
  info) exec "$node" "$here/app/info.mjs" "$@" ;;
  verify) cd "$here" && exec sha256sum --check --quiet SHA256SUMS ;;
  test) exec "$node" "$here/app/test.mjs" "$@" ;;
  sanitize) sanitize "$@" ;;
  bench) exec "$node" "$here/app/bench.mjs" run "$@" ;;
  node) exec "$node" "$@" ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
