#!/bin/sh
# Compiler launcher of CUDA files: runs the command, keeps ptxas's report (registers, spills, shared memory) beside the
# object file as OBJECT.ptxas, and lets everything else that was said through. scripts/native.mjs cuda-report reads the reports.
object=
previous=
for argument in "$@"; do
  if [ "$previous" = -o ]; then object=$argument; fi
  previous=$argument
done
if [ -z "$object" ]; then exec "$@"; fi

said=$object.said
"$@" >"$said" 2>&1
status=$?
if [ $status -eq 0 ]; then
  frame='^    [0-9]+ bytes stack frame'
  grep -E "^ptxas |$frame" "$said" >"$object.ptxas"
  # "ptxas info : (C7510) …" is a remark, which a reader of the build should see.
  grep -vE "^ptxas info *: [^(]|$frame" "$said" >&2
else
  cat "$said" >&2
fi
rm -f "$said"
exit $status
