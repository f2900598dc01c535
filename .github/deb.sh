#!/usr/bin/env bash
# deb.sh BINARY VERSION ARCH DIR: a Debian package of a static binary that runs here, with its
# manual pages and completions, in DIR.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "$1") version=$2 arch=$3
mkdir -p "$4"
out=$(realpath "$4")/diffkeeper_${version}_$arch.deb
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
umask 022

share=$root/usr/share
install -D -m 755 "$binary" "$root/usr/bin/diffkeeper"
mkdir -p "$share/man/man1"
"$binary" man --dir "$share/man/man1"
gzip -9n "$share"/man/man1/*
complete() { mkdir -p "$(dirname "$2")" && "$binary" completions "$1" >"$2"; }
complete bash "$share/bash-completion/completions/diffkeeper"
complete zsh "$share/zsh/vendor-completions/_diffkeeper"
complete fish "$share/fish/vendor_completions.d/diffkeeper.fish"
install -D -m 644 LICENSE "$share/doc/diffkeeper/copyright"
install -m 644 README.md CHANGELOG.md "$share/doc/diffkeeper"

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: diffkeeper
Version: $version
Architecture: $arch
Maintainer: the diffkeeper authors <diffkeeper@users.noreply.github.com>
Installed-Size: $(du -sk "$root/usr" | cut -f 1)
Section: devel
Priority: optional
Homepage: https://github.com/diffkeeper/diffkeeper
Description: filesystem flight recorder and timeline debugger
 Records every change that a command makes below a directory, so that
 afterwards one can scrub through time, see each file's diffs and who wrote
 them, and export the tree exactly as it was at any instant.
END
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group --build "$root" "$out" >/dev/null
echo "$out"
