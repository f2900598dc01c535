#!/usr/bin/env bash
# overhead.sh [SECONDS]: what the action adds to a step of real work, end to end: finding the binary,
# recording, packing, uploading (to a directory) and the summary. Needs act (.ci/tools) and a release
# binary. The step runs for SECONDS (60) bare, then the same work runs under the action.
set -euo pipefail
cd "$(dirname "$0")/../.."
repo=$PWD
seconds=${1:-60}
binary=$repo/target/release
[ -x "$binary/diffkeeper" ] || { echo 'build it first: cargo build --release' >&2; exit 2; }
base=$(mktemp -d "$repo/target/overhead.XXXXXX")
trap 'rm -rf "$base"' EXIT
mkdir -p "$base"/{home,results/uploads,workspace,checkout/.github}
cp -a action.yml Cargo.toml "$base/checkout"
cp -a .github/action "$base/checkout/.github"
git -C "$base/workspace" init --quiet
git -C "$base/workspace" -c user.name=t -c user.email=t@t commit --quiet --allow-empty -m empty
upload=$(sed -n 's/.*uses: \(actions\/upload-artifact@[0-9a-f]*\).*/\1/p' action.yml)
(
  cd "$base/workspace"
  HOME=$base/home XDG_CACHE_HOME=$base/home/cache PATH=$binary:$PATH \
    act push -P ubuntu-latest=-self-hosted --workflows "$repo/benches/action/overhead.yml" \
    --local-repository "diffkeeper/diffkeeper@main=$base/checkout" \
    --local-repository "$upload=$repo/tests/action/upload" \
    --env "RESULTS=$base/results" --env "WORK=$repo/benches/action/work.sh" \
    --env "SECONDS_OF_WORK=$seconds" >"$base/log" 2>&1
) || { tail -40 "$base/log" >&2; exit 1; }
at() { cat "$base/results/$1"; }
awk -v a="$(at begun)" -v b="$(at bare)" -v c="$(at between)" -v d="$(at recorded)" 'BEGIN {
  printf "bare %.2f s, recorded %.2f s: %.2f s more\n", b - a, d - c, (d - c) - (b - a)
}'
echo "$(at units) units; $(at trace)"
