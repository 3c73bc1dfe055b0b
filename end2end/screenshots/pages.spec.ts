// Draws every page, so that people can look at them: `make screenshots`, then target/screenshots.

import { join, resolve } from "node:path";
import type { Page } from "@playwright/test";
import { Demo } from "../support/demo.ts";
import { expect, test, Tile } from "../support/fixtures.ts";

const folder = resolve(import.meta.dirname, "../../target/screenshots");

async function draw(page: Page, name: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [320, 1280]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: width === 320 ? 640 : 800 });
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: name !== "dialog" });
    }
  }
}

test("every page in every form", async ({ page, tolerated }) => {
  tolerated.push(/Failed to load resource/);
  const demo = await Demo.start("--pace", "60");
  try {
    await page.goto(demo.url);
    await expect(new Tile(page, "success").deploy).toBeEnabled();
    await draw(page, "board-idle");
    await new Tile(page, "success").deploy.click();
    await draw(page, "dialog");
    await page.keyboard.press("Escape");
    const ids = {
      succeeded: await demo.deploy("success-site", "Ship the fix for slow search"),
      failed: await demo.deploy("failure-site", "Ship the fix for slow search"),
      unknown: await demo.deploy("unknown-site", "Ship the fix for slow search"),
      refused: await demo.deploy("refused-site"),
      running: await demo.deploy("reload-site", "Ship the fix for slow search"),
    };
    await expect.poll(() => demo.state(ids.failed), { timeout: 90_000 }).toBe("failed");
    await expect.poll(() => demo.state(ids.succeeded), { timeout: 90_000 }).toBe("succeeded");
    await expect(new Tile(page, "failure").state).toHaveText("Failed");
    await draw(page, "board-busy");
    for (const [name, id] of Object.entries(ids)) {
      await page.goto(`${demo.url}/deploys/${id}`);
      await expect(page.getByRole("log")).toBeVisible();
      await draw(page, `record-${name}`);
    }
    for (const [name, path] of [["history", "/deploys"], ["site", "/sites/failure-site"], ["not-found", "/nothing"]] as const) {
      await page.goto(`${demo.url}${path}`);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await draw(page, name);
    }
  } finally {
    await demo.stop();
  }
});
