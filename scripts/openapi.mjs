// Holds every exchange with GitHub that the tests recorded against GitHub's own description of its API.
//
// node scripts/openapi.mjs [--partial] FOLDER   --partial: not every operation need have been called

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Description } from './openapi/description.mjs';
import { check } from './openapi/exchange.mjs';
import { ANSWERS, MAY_BE_USED, USED } from './openapi/operations.mjs';

const MOST_TOLD = 30;
// A callback is not meant for GitHub: a test of the doctor sends one to an address where no console is, the stand-in's.
const CONSOLE = '/api/internal/';

const folder = process.argv.slice(2).find((argument) => argument !== '--partial');
const files = readdirSync(folder).filter((file) => file.endsWith('.exchanges'));
const isPartial = process.argv.includes('--partial');
const problems = new Map();
const tell = (problem) => problems.set(problem, (problems.get(problem) ?? 0) + 1);
const description = new Description();
const seen = new Set();
const answered = new Set();
let requests = 0;

for (const file of files) {
  for (const line of readFileSync(join(folder, file), 'utf8').split('\n').filter(Boolean)) {
    const exchange = JSON.parse(line);
    if (exchange.path.startsWith(CONSOLE)) continue;
    const { name, version, problems: found } = check(exchange, description);
    requests += 1;
    seen.add(name);
    if (exchange.answer?.body != null) answered.add(`${name} (${version}): ${exchange.answer.status}`);
    found.forEach(tell);
  }
}
if (!isPartial) {
  for (const name of USED.filter((name) => !seen.has(name))) tell(`${name}: no test called it`);
  const answers = ANSWERS.map(([name, version, status]) => `${name} (${version}): ${status}`);
  for (const answer of answers.filter((answer) => !answered.has(answer))) tell(`${answer}: no test was answered so`);
}
for (const name of MAY_BE_USED.filter((name) => seen.has(name))) {
  console.log(`${name} is called by a test: it belongs into USED in scripts/openapi/operations.mjs`);
}
for (const [problem, times] of [...problems].slice(0, MOST_TOLD)) console.error(`${problem}  [${times}×]`);
if (problems.size > 0) {
  console.error(`error: ${problems.size} things are not as GitHub describes them, in ${requests} requests`);
  process.exit(1);
}
console.log(`${requests} requests, ${seen.size} operations, all as GitHub describes them`);
