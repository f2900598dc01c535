#!/usr/bin/env bash
# sbom.sh TARGET FILE: the crates that the binary of a target is built from, as CycloneDX 1.5.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo metadata --locked --format-version 1 --filter-platform "$1" | jq --sort-keys '
  # What the binary needs to be built, without what its tests need.
  def needed($all): [.[], ($all[.[]] // [])[]] | unique;
  . as $meta
  | (.resolve.nodes | map({key: .id, value: [.deps[] | select(any(.dep_kinds[]; .kind != "dev")) | .pkg]}) | from_entries) as $deps
  | def closure: needed($deps) as $next | if $next == . then . else $next | closure end;
  ([.packages[] | select(.name == "diffkeeper")][0]) as $root
  | ([$root.id] | closure) as $ids
  | def ref: "pkg:cargo/\(.name)@\(.version)";
  ($meta.packages | map(select(.id as $id | $ids | index($id)))) as $packages
  | ($packages | map({key: .id, value: ref}) | from_entries) as $refs
  | {
      bomFormat: "CycloneDX",
      specVersion: "1.5",
      version: 1,
      metadata: {component: ($root | {type: "application", "bom-ref": ref, name, version, purl: ref})},
      components: [$packages[] | select(.id != $root.id) | {
        type: "library", "bom-ref": ref, name, version, purl: ref,
        licenses: (if .license then [{expression: (.license | gsub("/"; " OR "))}] else [] end)
      }],
      dependencies: [$packages[] | {ref: ref, dependsOn: ([$deps[.id][] | $refs[.] | values] | unique)}]
    }' >"$2"
