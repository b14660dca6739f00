#!/bin/sh
# HyperArc on a machine with no Node and no network: see README.md beside this file.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
export HYPERARC_ADDON="$here/hyperarc.node"
export HYPERARC_NATIVE_TESTS="${HYPERARC_NATIVE_TESTS-$here/bin/hyperarc_tests}"
export HYPERARC_COMMIT='@COMMIT@'
node="$here/bin/node"

usage() {
  cat <<'END'
usage: run COMMAND [OPTION…]
  info                       what this bundle and this machine have
  verify                     checksums of every file
  all [--minutes N]          info, test, bench, sanitize within N minutes, whatever fails, and a summary:
       --output FOLDER         gpu-results by default; --device cuda:0
  test [GROUP…]              kernels | contract | identical | trouble | large | random; all of them by default
       --device cuda:0|cpu     --count N (random shapes, 10000)   --classes N (of `large`)
       --jobs N                processes at once, one for each core by default
       --seconds N             what is not done by then is not run, and said
       --patience N            a check that is silent for N seconds (60) has failed
       --output FILE           a JSON line for each check as it ends, gpu-tests.jsonl by default
  sanitize [memcheck|racecheck|initcheck|synccheck]…
                             small shapes under compute-sanitizer; all four tools at once by default
       --jobs N                processes of all tools; and --device, --seconds, --patience (180), --output
  bench [--case PART…]       one step of the head beside its peers, with rooflines; needs a Python with torch for the peers:
       --device cuda:0         HYPERARC_PYTHON=/path/to/python3 run bench
       --kernels FAMILY…       of auto, plain, mma, wgmma; each case with each: mma wgmma by default
       --seconds N             --patience N (60) for each answer of a program; --continue the run that the output ends with
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
  for word in "$@"; do
    shift
    case $word in
      memcheck | racecheck | initcheck | synccheck) set -- "$@" --tool "$word" ;;
      *) set -- "$@" "$word" ;;
    esac
  done
  exec "$node" "$here/app/test.mjs" sanitize --sanitizer "$tool" "$@"
}

command=${1-help}
if [ $# -gt 0 ]; then shift; fi
case $command in
  info) exec "$node" "$here/app/info.mjs" "$@" ;;
  verify) cd "$here" && exec sha256sum --check --quiet SHA256SUMS ;;
  all) HYPERARC_RUN="$here/run" exec "$node" "$here/app/all.mjs" "$@" ;;
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
