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
  # "ptxas info : (C7510) …" are remarks, not the report.
  report='^ptxas info *: [^(]|^    [0-9]+ bytes stack frame'
  grep -E "$report" "$said" >"$object.ptxas"
  grep -vE "$report" "$said" >&2
else
  cat "$said" >&2
fi
rm -f "$said"
exit $status
