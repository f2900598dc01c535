#!/usr/bin/env bash
# image.sh DIR VERSION DESTINATION: the image of the archives in DIR, for both processors under one name, at a
# destination that buildah knows (docker://REGISTRY/NAME:TAG, oci:PATH). Nothing in it is run, so that either
# processor can build it. BUILDAH: the program with options, if others than none.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$(realpath "$1") version=$2 destination=$3
read -ra buildah <<<"${BUILDAH:-buildah}"
list=localhost/diffkeeper:$version
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${buildah[@]}" manifest create "$list" >/dev/null
for machine in amd64/x86_64 arm64/aarch64; do
  context=$scratch/${machine%/*}
  mkdir "$context"
  tar -xzf "$dist/diffkeeper-$version-${machine#*/}-unknown-linux-musl.tar.gz" -C "$context" diffkeeper
  "${buildah[@]}" build --quiet --platform "linux/${machine%/*}" --manifest "$list" --file Dockerfile "$context"
done
"${buildah[@]}" manifest push --quiet --all "$list" "$destination"
