// node scripts/bench.mjs DOOR PKG_FOLDER; the door is the link that a demo prints

import { Agent, request } from "node:http";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const [door, folder] = process.argv.slice(2);
const base = new URL(door).origin;
const entered = await fetch(door, { redirect: "manual" });
const cookie = entered.headers.getSetCookie().map((set) => set.split(";")[0]).join("; ");
const agent = new Agent({ keepAlive: true, maxSockets: 8 });
const SECONDS = 4;

function get(path, headers) {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, base), { agent, headers: { cookie, ...headers } }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer));
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** Requests a second over eight connections. */
async function rate(path, status, headers = {}) {
  const until = Date.now() + SECONDS * 1000;
  let done = 0;
  const ask = async () => {
    while (Date.now() < until) {
      const answer = await get(path, headers);
      if (answer.statusCode !== status) throw new Error(`${path}: ${answer.statusCode}`);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: 8 }, ask));
  return done / SECONDS;
}

for (const slug of ["api-prod", "console"]) {
  const body = JSON.stringify({ site: slug, confirmation: slug });
  await fetch(new URL("/api/internal/deploys", base), { method: "POST", body, headers: { "content-type": "application/json", cookie } });
}
const settled = async () => {
  const board = await (await fetch(new URL("/api/internal/board", base), { headers: { cookie } })).json();
  return board.tiles.every(({ latest, health }) => !latest?.active && health.status !== "unknown" && (!latest || latest.head_sha));
};
while (!(await settled())) await new Promise((resolve) => setTimeout(resolve, 200));

const etag = (await get("/api/internal/board", {})).headers.etag;
const reference = await rate("/healthz", 204);
const rows = [
  ["the board, changed (200)", await rate("/api/internal/board", 200)],
  ["the board, unchanged (304)", await rate("/api/internal/board", 304, { "if-none-match": etag })],
  ["the board's page, drawn", await rate("/", 200)],
];
console.log(`reference: /healthz, ${Math.round(reference)} requests a second (8 connections, ${SECONDS} s each)`);
for (const [name, found] of rows) {
  console.log(`${name.padEnd(28)} ${(reference / found).toFixed(1)} times the reference's cost (${Math.round(found)}/s)`);
}
console.log("what the browser downloads, once:");
for (const name of readdirSync(folder)) {
  const bytes = readFileSync(join(folder, name));
  console.log(`${name.padEnd(28)} ${bytes.length} bytes, ${brotliCompressSync(bytes).length} in brotli`);
}
agent.destroy();
