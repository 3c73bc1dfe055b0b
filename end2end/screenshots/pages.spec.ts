// Draws every page, so that people can look at them: `make screenshots`, then target/screenshots.

import { join, resolve } from "node:path";
import type { Page } from "@playwright/test";
import { expect, networkTrouble, test, Tile } from "../support/fixtures.ts";

const folder = resolve(import.meta.dirname, "../../target/screenshots");

async function draw(page: Page, name: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [320, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: width === 320 ? 640 : 800 });
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: !name.endsWith("dialog") });
    }
  }
}

test("every page in every form", async ({ page, demo, tolerated }) => {
  tolerated.push(networkTrouble);
  await page.goto("/");
  const site = new Tile(page, "success");
  await expect(site.deploy).toBeEnabled();
  await draw(page, "board-idle");
  await demo.choose("deploy-outside.yml", "queued");
  await demo.startByHand("raxx/outside", "deploy-outside.yml");
  const rerun = await demo.deploy("rerun-site", "Ship the fix for slow search");
  await site.deploy.click();
  await draw(page, "dialog");
  await page.keyboard.press("Escape");

  const failed = await demo.deploy("failure-site", "Ship the fix for slow search");
  const unknown = await demo.deploy("unknown-site", "Ship the fix for slow search");
  const succeeded = await demo.deploy(site.slug, "Ship the fix for slow search");
  const refused = await demo.deploy("refused-site");
  const blocked = await demo.deploy("approval-site", "Ship the fix for slow search");
  const lost = await demo.deploy("deleted-site", "Ship the fix for slow search");
  await expect.poll(() => demo.state(failed), { timeout: 90_000 }).toBe("failed");
  await expect.poll(() => demo.state(succeeded), { timeout: 90_000 }).toBe("succeeded");
  await expect.poll(() => demo.state(lost), { timeout: 90_000 }).toBe("lost");
  const { run_id } = await demo.api<{ run_id: number }>(`deploys/${rerun}`);
  await expect.poll(() => demo.runAgain(run_id)).toBe(true);
  const outside = new Tile(page, "outside");
  await expect(outside.tile).toContainText("Started outside the console", { timeout: 60_000 });
  await outside.deploy.click();
  await draw(page, "outside-dialog");
  await page.keyboard.press("Escape");
  await expect(new Tile(page, "rerun").state).toHaveText("Succeeded", { timeout: 60_000 });
  const running = await demo.deploy("reload-site", "Ship the fix for slow search");
  await expect(new Tile(page, "reload").tile).toContainText("Building for production");
  await draw(page, "board-busy");
  for (const [name, id] of Object.entries({ running, failed, unknown, refused, succeeded, blocked, lost })) {
    await page.goto(`/deploys/${id}`);
    await expect(page.getByRole("log")).toBeVisible();
    await draw(page, `record-${name}`);
  }
  await page.goto(`/deploys/${rerun}?attempt=2`);
  await expect(page.getByRole("log")).toBeVisible();
  await draw(page, "record-rerun");
  await page.goto(`/deploys/${blocked}`);
  await page.getByRole("button", { name: "Cancel deploy" }).click();
  await draw(page, "cancel-dialog");
  for (const [name, path] of [
    ["history", "/deploys"],
    ["site", "/sites/failure-site"],
    ["not-found", "/nothing"],
    ["account", "/account"],
    ["people", "/people"],
    ["audit", "/audit"],
  ] as const) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await draw(page, name);
  }
  await page.goto("/account");
  await page.getByRole("textbox", { name: "What will use it" }).fill("nightly");
  await page.getByRole("button", { name: "Create token" }).click();
  await expect(page.getByRole("textbox", { name: "New token" })).toBeVisible();
  await draw(page, "account-token");
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("vera");
  await draw(page, "sign-in");
  const { url } = await demo.api<{ url: string }>("operators", { name: "vera", role: "viewer" });
  await page.goto(url);
  await draw(page, "set-up");
});
