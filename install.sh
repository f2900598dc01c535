#!/bin/sh
# Installs the static binary of a release, checked against its sha256.
#
#   install.sh [VERSION]
#
# DIFFKEEPER_BIN: where to (default: /usr/local/bin for root, else ~/.local/bin)
# DIFFKEEPER_RELEASES: where the releases are (default: those of the project)
set -eu

releases=${DIFFKEEPER_RELEASES:-https://github.com/diffkeeper/diffkeeper/releases/download}

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

# fetch URL FILE
fetch() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"
  elif command -v wget >/dev/null; then
    wget --quiet --output-document "$2" "$1"
  else
    fail 'curl or wget is needed'
  fi
}

# The version that the newest release's address ends with.
newest() {
  command -v curl >/dev/null || fail 'name a version: only curl can ask for the newest'
  url=$(curl --fail --silent --show-error --head --output /dev/null --write-out '%{redirect_url}' \
    "${releases%/download}/latest") || fail 'there is no newest release; name a version'
  [ -n "${url##*/v*}" ] && fail 'there is no newest release; name a version'
  echo "${url##*/v}"
}

checksum() {
  if command -v sha256sum >/dev/null; then
    sha256sum "$1"
  elif command -v shasum >/dev/null; then
    shasum -a 256 "$1"
  else
    fail 'sha256sum or shasum is needed'
  fi | cut -d ' ' -f 1
}

[ "$(uname -s)" = Linux ] || fail "there is no binary for $(uname -s)"
case $(uname -m) in
  x86_64 | amd64) target=x86_64-unknown-linux-musl ;;
  aarch64 | arm64) target=aarch64-unknown-linux-musl ;;
  *) fail "there is no binary for $(uname -m)" ;;
esac
version=${1:-}
version=${version#v}
if [ -z "$version" ]; then version=$(newest); fi
if [ "$(id -u)" = 0 ]; then bin=/usr/local/bin; else bin=$HOME/.local/bin; fi
bin=${DIFFKEEPER_BIN:-$bin}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
name=diffkeeper-$version-$target.tar.gz
for file in "$name" "$name.sha256"; do
  fetch "$releases/v$version/$file" "$scratch/$file" || fail "cannot fetch $releases/v$version/$file"
done
# The line must be about this very file.
expected=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]$name\$/\1/p" "$scratch/$name.sha256")
[ -n "$expected" ] || fail "$name.sha256 holds no checksum of $name"
[ "$(checksum "$scratch/$name")" = "$expected" ] || fail "$name is not what its checksum says; nothing was installed"

tar -xzf "$scratch/$name" -C "$scratch" diffkeeper
mkdir -p "$bin"
# In one step, also over one that is running.
cp "$scratch/diffkeeper" "$bin/.diffkeeper.$$"
chmod 755 "$bin/.diffkeeper.$$"
mv -f "$bin/.diffkeeper.$$" "$bin/diffkeeper"
"$bin/diffkeeper" --version
case :$PATH: in
  *:"$bin":*) ;;
  *) echo "install.sh: $bin is not in PATH" >&2 ;;
esac
