#!/usr/bin/env bash
# Work as a build has it: compiles, links and runs programs, and logs what they say.
# `work.sh seconds N` goes on for so long and tells how much that was, `work.sh units N` does so much.
set -euo pipefail
kind=$1 limit=$2

unit() {
  local dir=objects/$1 i
  mkdir -p "$dir"
  {
    echo '#include <stdio.h>'
    for i in $(seq 150); do
      echo "static double f$i(double x) { double y = x; for (int i = 0; i < $i; i++) y = y * x + i / (y + $1); return y; }"
    done
    echo 'int main(void) { double s = 0;'
    for i in $(seq 150); do echo "s += f$i(s);"; done
    echo 'printf("%f ", s); return 0; }'
  } >"$dir/main.c"
  gcc -O2 -c "$dir/main.c" -o "$dir/main.o"
  gcc "$dir/main.o" -o "$dir/main"
  "$dir/main" >>objects/log
  rm "$dir/main.o"
}

done=0
while case $kind in seconds) [ "$SECONDS" -lt "$limit" ] ;; *) [ "$done" -lt "$limit" ] ;; esac do
  done=$((done + 1))
  unit "$done"
done
echo "$done"
