#!/usr/bin/env bash
# release.sh TARGET VERSION DIR: the static binary of a target as an archive with its checksum in DIR.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1 version=$2 out=$3
name=diffkeeper-$version-$target.tar.gz
mkdir -p "$out"
cargo build --release --locked --target "$target"
tar -czf "$out/$name" -C "target/$target/release" diffkeeper -C "$PWD" LICENSE README.md
(cd "$out" && sha256sum "$name" >"$name.sha256")
