// A demo of the release binary, on ports and data of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  // Everything that the server ever says, down to the least.
  readonly #log = join(this.#folder, "log");
  readonly #secrets = new Set<string>([secret]);
  url = "";
  standInUrl = "";
  /** The link that opens the console, signed in. */
  door = "";
  #cookie = "";
  #config = config;

  private constructor() {
    mkdirSync(join(this.#folder, "alone"));
    copyFileSync(binary, this.#binary);
  }

  /** The console and its stand-in in one process, as `make run` starts them. */
  static async start(): Promise<Demo> {
    const demo = new Demo();
    const lines = demo.#spawn(["--port", "0", "--github-port", "0", "--data", demo.data, "--config", config, "--pace", "40"]);
    demo.standInUrl = await found(lines, /GitHub stand-in (\S+?)\/$/);
    await demo.#opened(lines);
    return demo;
  }

  /** An OpenID provider beside it, whose developers may deploy; the console is still to be started. */
  async startProvider(): Promise<void> {
    const provider = spawn(process.execPath, [join(import.meta.dirname, "identity-provider.mjs"), this.url], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#processes.push(provider);
    const issuer = await found(createInterface({ input: provider.stdout })[Symbol.asyncIterator](), /^issuer (\S+)$/);
    const oidc = `[oidc]\nname = "Example ID"\nissuer = "${issuer}"\nclient_id = "raxx-console"\n`;
    this.#config = join(this.#folder, "console.toml");
    writeFileSync(this.#config, `${oidc}roles = { developers = "deployer" }\n${readFileSync(config, "utf8")}`);
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
    const lines = this.#spawn(["--github-url", this.standInUrl, "--port", port, "--data", this.data, "--config", this.#config]);
    await this.#opened(lines);
    const process = this.#processes[child]!;
    return async () => {
      const ended = new Promise((resolve) => process.once("exit", resolve));
      process.kill("SIGKILL");
      await ended;
    };
  }

  /** `serve` itself, with nobody on the list yet: returns the link of the first set-up. */
  async serve(database = `sqlite://${this.data}/serve.db`): Promise<string> {
    const port = new URL(this.url).port;
    const lines = this.#spawn([], {
      PORT: port,
      DATABASE_URL: database,
      CONSOLE_CONFIG: config,
      GITHUB_API_URL: this.standInUrl,
      GITHUB_DISPATCH_TOKEN: "demo",
    });
    return found(lines, /first admin, within an hour: (\S+)$/);
  }

  /** Notes something that the server may know and must never say in its log. */
  keepSecret(text: string): void {
    this.#secrets.add(text);
  }

  /** What an API of the console answers to the demo's own operator. */
  async api<T>(path: string, body?: object): Promise<T> {
    const response = await fetch(`${this.url}/api/internal/${path}`, {
      method: body ? "POST" : "GET",
      headers: { "content-type": "application/json", cookie: this.#cookie },
      body: body ? JSON.stringify(body) : null,
    });
    if (!response.ok) throw new Error(`${path}: ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Signs a report as a workflow would, and sends it. */
  async report(id: string, report: object): Promise<void> {
    const body = JSON.stringify({ schema: 1, deploy_id: id, run_attempt: 1, job: "deploy", ...report });
    const delivery = `delivery_${randomUUID()}`;
    const now = Math.floor(Date.now() / 1000).toString();
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    const signature = createHmac("sha256", key).update(`${delivery}.${now}.${body}`).digest("base64");
    const response = await fetch(`${this.url}/api/internal/deploys/${id}/status`, {
      method: "POST",
      headers: { "webhook-id": delivery, "webhook-timestamp": now, "webhook-signature": `v1,${signature}` },
      body,
    });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
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

  /** Starts a run as `gh workflow run` would: without the console. */
  async startByHand(repository: string, workflow: string): Promise<void> {
    await this.#press("by-hand", { repository, workflow });
  }

  /** Runs a run again, as the button on GitHub does; whether it has ended, so that it can be. */
  async runAgain(id: number): Promise<boolean> {
    return this.#press(`run-again/${id}`, {}).then(
      () => true,
      () => false,
    );
  }

  async setHealth(slug: string, status: number): Promise<void> {
    await this.#tell("health", { slug, status });
  }

  /** Asks for a deploy as a script would, and returns its id. */
  async deploy(slug: string, reason?: string): Promise<string> {
    return (await this.api<{ id: string }>("deploys", { site: slug, confirmation: slug, reason })).id;
  }

  async state(id: string): Promise<string> {
    return (await this.api<{ state: string }>(`deploys/${id}`)).state;
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
    const said = readFileSync(this.#log, "utf8");
    rmSync(this.#folder, { recursive: true, force: true });
    if (said.includes("panicked")) throw new Error(`the server panicked:\n${said.slice(said.indexOf("panicked") - 2000)}`);
    for (const told of this.#secrets) {
      const place = said.indexOf(told);
      if (place >= 0) throw new Error(`a secret is in the log: ${said.slice(Math.max(0, place - 500), place)}…`);
    }
  }

  /** Sends one of the stand-in's forms. */
  async #press(what: string, fields: Record<string, string>): Promise<void> {
    const response = await fetch(`${this.standInUrl}/stand-in/${what}`, {
      method: "POST",
      body: new URLSearchParams(fields),
      redirect: "manual",
    });
    if (response.status !== 303) throw new Error(`${what}: ${response.status}`);
  }

  async #tell(what: string, choice: object): Promise<void> {
    const response = await fetch(`${this.standInUrl}/stand-in/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(choice),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  /** Reads the link that opens the console, and goes through it. */
  async #opened(lines: AsyncIterator<string>): Promise<void> {
    this.door = await found(lines, /Open (\S+)$/);
    this.url = new URL(this.door).origin;
    const response = await fetch(this.door, { redirect: "manual" });
    const cookies = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]!);
    this.#cookie = cookies.join("; ");
    this.keepSecret(this.door.split("/").at(-1)!);
    for (const cookie of cookies) this.keepSecret(cookie.split("=")[1]!);
  }

  #spawn(options: string[], serve?: Record<string, string>): AsyncIterator<string> {
    const child = spawn(this.#binary, [serve ? "serve" : "demo", ...options], {
      cwd: join(this.#folder, "alone"),
      env: { ...process.env, CONSOLE_CALLBACK_SECRET: secret, RUST_LOG: "trace", ...serve },
      stdio: ["ignore", "pipe", openSync(this.#log, "a")],
    });
    this.#processes.push(child);
    return createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
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
