// Every page: found or not, on a phone, without JavaScript, for everybody.

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, networkTrouble, test, Tile } from "../support/fixtures.ts";

async function accessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`)).toEqual([]);
}

test("a page that does not exist says so, with 404", async ({ page, tolerated }) => {
  // The browser's own message about the 404 is what is asked for here.
  tolerated.push(networkTrouble);
  for (const path of ["/nothing", "/sites/nope", "/deploys/0199a8f0-0000-7000-8000-000000000000", "/deploys/x"]) {
    const response = await page.goto(path);
    expect(response?.status()).toBe(404);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await page.getByRole("link", { name: "Back to the sites" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Sites" })).toBeVisible();
  }
  await page.goto("/nothing");
  await expect(page.getByRole("heading", { level: 1, name: "Page not found" })).toBeVisible();
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`every page and the open dialog pass axe, ${colorScheme}`, async ({ page, demo }) => {
    // Without motion: a colour on its way to another has no contrast of its own.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const id = await (colorScheme === "light" ? demo.deploy("axe-site", "for axe") : demo.deploy("narrow-site", "for axe"));
    await expect.poll(() => demo.state(id), { timeout: 60_000 }).toBe("failed");
    await page.goto("/");
    const site = new Tile(page, "axe");
    await expect(site.deploy).toBeEnabled();
    await accessible(page);
    await site.deploy.click();
    await site.confirmation.fill("axe");
    await accessible(page);
    for (const path of [`/deploys/${id}`, "/deploys", "/sites/axe-site", "/account", "/people", "/audit"]) {
      await page.goto(path);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await accessible(page);
    }
    await page.goto("/people");
    await page.getByRole("textbox", { name: "Name" }).fill(`axe-${colorScheme}`);
    await page.getByRole("button", { name: "Add operator" }).click();
    const link = page.getByRole("textbox", { name: "One-time link" });
    await expect(link).toBeVisible();
    // Under the pointer as well.
    await page.getByRole("button", { name: "Add operator" }).hover();
    await accessible(page);
    const url = await link.inputValue();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Sign in" })).toBeVisible();
    await accessible(page);
    await page.goto(url);
    await accessible(page);
  });
}

test("320 px are enough for every page and the dialog", async ({ page, demo }) => {
  await page.setViewportSize({ width: 320, height: 640 });
  const id = await demo.deploy("nojs-site", "a reason that is long enough to need more than one line on a narrow phone");
  await expect.poll(() => demo.state(id), { timeout: 60_000 }).toBe("succeeded");
  const fits = async () => expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
  for (const path of ["/", `/deploys/${id}`, "/deploys", "/sites/nojs-site", "/account", "/people", "/audit"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await fits();
  }
  await page.goto("/");
  const site = new Tile(page, "nojs");
  await site.deploy.click();
  await expect(site.confirm).toBeInViewport();
  await expect(site.confirmation).toBeInViewport();
  await fits();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Sign in" })).toBeVisible();
  await fits();
});

test("history leads from the newest to the record", async ({ page, demo }) => {
  await demo.choose("deploy-page.yml", "refuse");
  for (let made = 0; made < 27; made += 1) {
    const id = await demo.deploy("page-site", `number ${made}`);
    await expect.poll(() => demo.state(id)).toBe("dispatch_failed");
  }
  await demo.choose("deploy-page.yml", "succeed");
  await page.goto("/sites/page-site");
  await expect(page.getByRole("heading", { level: 1, name: "The page site" })).toBeVisible();
  const records = page.getByRole("main").getByRole("link", { name: /record of page-site/ });
  await expect(records).toHaveCount(25);
  await page.getByRole("link", { name: "Older" }).click();
  await expect(records).toHaveCount(2);
  await page.getByRole("link", { name: "Newest" }).click();
  await expect(records).toHaveCount(25);
  await records.first().click();
  await expect(page.getByText("number 26").first()).toBeVisible();
  await page.getByRole("link", { name: "Deploys" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Deploys" })).toBeVisible();
});

test.describe("before WASM arrives", () => {
  test.use({ javaScriptEnabled: false });

  test("the pages are drawn by the server and can be read", async ({ page, tolerated }) => {
    tolerated.push(/preloaded using link preload but not used/);
    await page.goto("/");
    await expect(page.getByRole("article", { name: "The success site" })).toBeVisible();
    await expect(page.getByText("Demo.")).toBeVisible();
    await page.goto("/deploys");
    await expect(page.getByRole("heading", { level: 1, name: "Deploys" })).toBeVisible();
  });
});
