#!/usr/bin/env bash
# Builds the committed objects: the same bytes on every machine with the same clang.
# Needs clang-14, llvm-14 and libbpf-dev (Debian 12's).
# Usage: build.sh [DIRECTORY]   (default: where this script stands)
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-.}
clang=${CLANG:-clang-14}
strip=${LLVM_STRIP:-llvm-strip-14}
for source in *.bpf.c; do
	object=$out/${source%.bpf.c}.bpf.o
	"$clang" -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -O2 -g -Wall -Wextra -Werror \
		-Wno-unused-parameter -Wno-unused-function -Wno-sign-compare -Wno-missing-field-initializers \
		-ffile-prefix-map="$PWD=." -c "$source" -o "$object"
	# Without what a linker would want, a third of the object: nothing that loads it reads it.
	"$strip" -g --remove-section=.rel.BTF.ext "$object"
	ls -l "$object"
done
