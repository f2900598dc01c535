#!/usr/bin/env bash
# The first step: a private directory for this use of the action, and the binary. Taken is what is
# installed already, else what the tool cache holds, else a release checked against its sha256, else
# what the action's own checkout builds. Without one the script runs unrecorded, which is a warning.
set -uo pipefail
action=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$action/.github/action/lib.sh"

DK_DIR=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/diffkeeper.XXXXXX") || DK_DIR=
output dir "$DK_DIR"

own_version() { sed -n 's/^version = "\(.*\)"$/\1/p' "$action/Cargo.toml" | head -n 1; }
version=${DK_VERSION#v}
version=${version:-$(own_version)}
target=$(uname -m)-unknown-linux-musl
cached=${RUNNER_TOOL_CACHE:-$HOME/.cache}/diffkeeper/$version/$target/diffkeeper

# Whether a binary runs here and is of the version that was asked for.
is_right() { [ "$("$1" --version 2>/dev/null)" = "diffkeeper $version" ]; }

installed() {
  binary=$(command -v diffkeeper) || return 1
  # Whoever installed one and asks for none in particular means that one.
  if [ -z "${DK_VERSION:-}" ]; then "$binary" --version >/dev/null 2>&1; else is_right "$binary"; fi
}

in_cache() {
  binary=$cached
  [ -x "$binary" ] && is_right "$binary"
}

# keep FILE: into the tool cache in one step, so that a concurrent job never sees half of it.
keep() {
  mkdir -p "$(dirname "$cached")" && install -m 755 "$1" "$cached.$$" && mv -f "$cached.$$" "$cached" || return 1
  binary=$cached
}

# Fails with 2 where there is an archive that is not what its checksum says.
released() {
  local base=${DIFFKEEPER_RELEASES:-${GITHUB_SERVER_URL:-}/${GITHUB_ACTION_REPOSITORY:-}/releases/download}
  local name=diffkeeper-$version-$target.tar.gz scratch
  command -v curl >/dev/null && [ -n "${DIFFKEEPER_RELEASES:-${GITHUB_ACTION_REPOSITORY:-}}" ] || return 1
  scratch=$(mktemp -d "$DK_DIR/release.XXXXXX") || return 1
  local file
  for file in "$name" "$name.sha256"; do
    curl --fail --silent --location --retry 3 --max-time 120 --output "$scratch/$file" "$base/v$version/$file" ||
      return 1
  done
  (cd "$scratch" && sha256sum --check --status "$name.sha256") || return 2
  tar -xzf "$scratch/$name" -C "$scratch" && is_right "$scratch/diffkeeper" && keep "$scratch/diffkeeper"
}

built() {
  command -v cargo >/dev/null || return 1
  [ "$version" = "$(own_version)" ] || return 1
  echo "diffkeeper: no release of $version for $target is at hand: building it" >&2
  local out=${CARGO_TARGET_DIR:-$DK_DIR/target}
  CARGO_TARGET_DIR=$out cargo build --release --locked --quiet --manifest-path "$action/Cargo.toml" &&
    keep "$out/release/diffkeeper"
}

find_binary() {
  installed && return
  in_cache && return
  [ -n "$DK_DIR" ] || return
  released
  case $? in
    0) return ;;
    2)
      trouble "the release of $version is not what its checksum says; it is not used"
      binary=
      return
      ;;
  esac
  built || binary=
}

binary=
find_binary
if [ -n "$binary" ]; then
  echo "diffkeeper: $("$binary" --version) at $binary"
else
  trouble 'no diffkeeper could be installed; the script runs unrecorded'
fi
output binary "$binary"
