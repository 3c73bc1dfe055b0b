// A demo of the release binary, on ports and data of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const repository = resolve(import.meta.dirname, "../..");
const binary = process.env.CONSOLE_BINARY ?? join(repository, "target/release/raxx-console");
const config = join(repository, "end2end/console.toml");
// Both halves of a demo that is started in two processes need the same one; it guards nothing.
const secret = "whsec_b25seS1mb3ItdGhlLWJyb3dzZXItdGVzdHMtb2Yt";

export class Demo {
  // The binary, alone in a folder: it must serve everything from there.
  readonly #folder = mkdtempSync(join(tmpdir(), "raxx-console-e2e-"));
  readonly #binary = join(this.#folder, "alone", "raxx-console");
  readonly data = join(this.#folder, "data");
  #processes: ChildProcess[] = [];
  #errors = "";
  url = "";
  standInUrl = "";

  private constructor() {
    mkdirSync(join(this.#folder, "alone"));
    copyFileSync(binary, this.#binary);
  }

  /** The console and its stand-in in one process, as `make run` starts them. */
  static async start(): Promise<Demo> {
    const demo = new Demo();
    const lines = demo.#spawn(["--port", "0", "--github-port", "0", "--data", demo.data, "--config", config, "--pace", "40"]);
    demo.standInUrl = await found(lines, /GitHub stand-in (\S+?)\/$/);
    demo.url = await found(lines, /Open (\S+?)\/$/);
    return demo;
  }

  /** The stand-in alone, so that the console can come and go. */
  static async startApart(): Promise<Demo> {
    const demo = new Demo();
    const port = await freePort();
    demo.url = `http://127.0.0.1:${port}`;
    const lines = demo.#spawn(["--stand-in-only", "--console-url", demo.url, "--pace", "40"]);
    demo.standInUrl = await found(lines, /GitHub stand-in (\S+?)\/$/);
    return demo;
  }

  /** Starts the console of a demo that was started apart; again with the same port and data. */
  async startConsole(): Promise<() => Promise<void>> {
    const port = new URL(this.url).port;
    const child = this.#processes.length;
    const lines = this.#spawn(["--github-url", this.standInUrl, "--port", port, "--data", this.data, "--config", config]);
    await found(lines, /Open (\S+?)\/$/);
    const process = this.#processes[child]!;
    return async () => {
      const ended = new Promise((resolve) => process.once("exit", resolve));
      process.kill("SIGKILL");
      await ended;
    };
  }

  /** How many dispatches GitHub ever got for a workflow. */
  async dispatches(workflow: string): Promise<number> {
    const answer = (await (await fetch(`${this.standInUrl}/stand-in/dispatches`)).json()) as {
      dispatches: { workflow: string }[];
    };
    return answer.dispatches.filter((dispatch) => dispatch.workflow === workflow).length;
  }

  async choose(workflow: string, scenario: string): Promise<void> {
    await this.#tell("scenario", { workflow, scenario });
  }

  async setHealth(slug: string, status: number): Promise<void> {
    await this.#tell("health", { slug, status });
  }

  /** Asks for a deploy as a script would, and returns its id. */
  async deploy(slug: string, reason?: string): Promise<string> {
    const response = await fetch(`${this.url}/api/internal/deploys`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ site: slug, confirmation: slug, reason }),
    });
    if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
    return ((await response.json()) as { id: string }).id;
  }

  async state(id: string): Promise<string> {
    const response = await fetch(`${this.url}/api/internal/deploys/${id}`);
    return ((await response.json()) as { state: string }).state;
  }

  async stop(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const hard = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(hard);
    }
    rmSync(this.#folder, { recursive: true, force: true });
    if (this.#errors.includes("panicked")) throw new Error(`the server panicked:\n${this.#errors}`);
  }

  async #tell(what: string, choice: object): Promise<void> {
    const response = await fetch(`${this.standInUrl}/stand-in/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(choice),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  #spawn(options: string[]): AsyncIterator<string> {
    const child = spawn(this.#binary, ["demo", ...options], {
      cwd: join(this.#folder, "alone"),
      env: { ...process.env, CONSOLE_CALLBACK_SECRET: secret },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#processes.push(child);
    child.stderr.on("data", (text: Buffer) => (this.#errors += text.toString()));
    return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }
}

/** The first group of the first line that matches. */
async function found(lines: AsyncIterator<string>, pattern: RegExp): Promise<string> {
  for (;;) {
    const line = await lines.next();
    if (line.done) throw new Error(`the demo ended before it said ${pattern}`);
    const match = pattern.exec(line.value);
    if (match?.[1]) return match[1];
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
