// A PostgreSQL of a test's own (scripts/postgres), that can be ended as a crash would, and started again.

import { type ChildProcess, spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const script = join(resolve(import.meta.dirname, "../.."), "scripts/postgres");

export class Postgres {
  readonly url: string;
  readonly password: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(process: ChildProcess, lines: AsyncIterator<string>, address: string) {
    this.#process = process;
    this.#lines = lines;
    // The database that every server has from the start.
    this.url = `${address}/postgres`;
    this.password = new URL(address).password;
  }

  static async start(): Promise<Postgres> {
    const process = spawn(script, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: process.stdout! })[Symbol.asyncIterator]();
    const line = await lines.next();
    if (line.done || !line.value.startsWith("postgres://")) throw new Error("PostgreSQL did not start: see above");
    return new Postgres(process, lines, line.value);
  }

  async order(order: "crash" | "start"): Promise<void> {
    this.#process.stdin!.write(`${order}\n`);
    const line = await this.#lines.next();
    if (line.done || line.value !== "done") throw new Error(`${order}: ${line.value}`);
  }

  /** It ends when its input does. */
  stop(): void {
    this.#process.stdin!.end();
  }
}
