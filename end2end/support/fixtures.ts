// What every browser test gets: a demo that its worker shares, and a page on which no error may happen.

import { test as base, expect, type BrowserContext, type Locator, type Page } from "@playwright/test";
import { Demo } from "./demo.ts";

/** What a browser says by itself about an answer that is no success, or none. */
export const networkTrouble = /net::ERR_|Failed to load resource/;

type Fixtures = {
  /** Whether the test's browser is signed in from the start, as the demo's admin. */
  signedIn: boolean;
  /** Console messages that a test brings about on purpose. */
  tolerated: RegExp[];
  watched: void;
};

export const test = base.extend<Fixtures, { demo: Demo }>({
  demo: [
    async ({}, use) => {
      const demo = await Demo.start();
      await use(demo);
      await demo.stop();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ demo }, use) => use(demo.url),
  signedIn: [true, { option: true }],
  context: async ({ context, demo, signedIn }, use) => {
    if (signedIn) await context.request.get(demo.door);
    await use(context);
  },
  tolerated: async ({}, use) => use([]),
  // A hydration mismatch is a console message too.
  watched: [
    async ({ context, tolerated }, use) => {
      const said: string[] = [];
      context.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) said.push(`${message.type()}: ${message.text()}`);
      });
      context.on("weberror", (error) => said.push(`uncaught: ${error.error().message}`));
      await use();
      expect(said.filter((text) => !tolerated.some((pattern) => pattern.test(text)))).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

export const password = "correct lamp otter violin";

/** Somebody new, who sets a password by the one-time link that an admin gives them. */
export async function person(demo: Demo, context: BrowserContext, name: string, role: string): Promise<void> {
  const { url } = await demo.api<{ url: string }>("operators", { name, role });
  demo.keepSecret(url.split("/").at(-1)!);
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Set password and sign in" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Sites" })).toBeVisible();
  await page.close();
  demo.keepSecret(password);
  for (const cookie of await context.cookies()) demo.keepSecret(cookie.value);
}

/** Fills in the sign-in form. */
export async function signIn(page: Page, name: string, secret = password): Promise<void> {
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  await page.getByRole("textbox", { name: "Password" }).fill(secret);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** A site's tile and what is on it, by role and name. */
export class Tile {
  readonly tile: Locator;
  readonly state: Locator;
  readonly deploy: Locator;
  readonly dialog: Locator;
  readonly confirmation: Locator;
  readonly reason: Locator;
  readonly confirm: Locator;
  readonly slug: string;

  constructor(page: Page, name: string) {
    this.slug = `${name}-site`;
    this.tile = page.getByRole("article", { name: `The ${name} site` });
    this.state = this.tile.getByRole("status");
    this.deploy = this.tile.getByRole("button", { name: `Deploy ${this.slug}` });
    this.dialog = page.getByRole("dialog", { name: `Deploy ${this.slug}` });
    this.confirmation = this.dialog.getByRole("textbox", { name: `Type ${this.slug} to confirm` });
    this.reason = this.dialog.getByRole("textbox", { name: "Reason", exact: true });
    this.confirm = this.dialog.getByRole("button", { name: "Confirm deploy" });
  }

  /** Presses Deploy, types the slug, confirms. */
  async deployIt(): Promise<void> {
    await this.deploy.click();
    await this.confirmation.fill(this.slug);
    await this.confirm.click();
    await expect(this.dialog).toBeHidden();
  }

  /** Opens the record of its last deploy. */
  async openRecord(): Promise<void> {
    await this.tile.getByRole("link", { name: "Record" }).click();
  }
}
