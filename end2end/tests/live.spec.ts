// What an operator sees while something is away: the truth about how old the picture is.

import { Demo } from "../support/demo.ts";
import { expect, networkTrouble, test, Tile } from "../support/fixtures.ts";

const stale = /Not updated since \d\d:\d\d:\d\d UTC/;

test("a restart of the console is survived in front of the operator", async ({ page, tolerated }) => {
  tolerated.push(networkTrouble);
  const demo = await Demo.startApart();
  try {
    const kill = await demo.startConsole();
    await page.goto(demo.door);
    const site = new Tile(page, "restart");
    await site.deployIt();
    await expect(site.tile).toContainText("Build pages");
    await kill();
    await expect(page.getByRole("alert")).toContainText(stale);
    await expect(site.state).toHaveText("Running");
    await demo.startConsole();
    await expect(page.getByRole("alert")).not.toContainText(stale);
    await expect(site.state).toHaveText("Succeeded", { timeout: 60_000 });
    expect(await demo.dispatches("deploy-restart.yml")).toBe(1);
    await site.openRecord();
    await expect(page.getByRole("log")).toContainText("Healthy");
  } finally {
    await demo.stop();
  }
});

test("a lost network is said, and survived", async ({ page, context, tolerated }) => {
  tolerated.push(networkTrouble);
  await page.goto("/");
  const site = new Tile(page, "offline");
  await site.deployIt();
  await expect(site.state).toHaveText("Running");
  await context.setOffline(true);
  await expect(page.getByRole("alert")).toContainText(stale);
  await context.setOffline(false);
  await expect(page.getByRole("alert")).not.toContainText(stale);
  await expect(site.state).toHaveText("Succeeded", { timeout: 60_000 });
});

test("a confirmation into the void says that nobody knows, and keeps what was typed", async ({ page, context, tolerated }) => {
  tolerated.push(networkTrouble);
  await page.goto("/");
  const site = new Tile(page, "reason");
  await site.deploy.click();
  await site.confirmation.fill(site.slug);
  await site.reason.fill("typed at 3 a.m.");
  await context.setOffline(true);
  await site.confirm.click();
  await expect(site.dialog.getByRole("alert")).toContainText("No answer came");
  await expect(site.reason).toHaveValue("typed at 3 a.m.");
  await context.setOffline(false);
  await site.confirm.click();
  await expect(site.dialog).toBeHidden();
  await expect(site.state).toHaveText("Succeeded");
});

test("a tab that nobody sees does not ask, and asks at once on return", async ({ page, demo }) => {
  await page.goto("/");
  const site = new Tile(page, "asleep");
  await expect(site.deploy).toBeEnabled();
  const show = (state: string) =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }, state);
  await show("hidden");
  let polls = 0;
  page.on("request", (request) => {
    if (request.url().includes("/api/internal/board")) polls += 1;
  });
  await demo.deploy(site.slug);
  // Another page's polls tell that time goes by: three of them, and this one has asked nothing.
  const other = await page.context().newPage();
  await other.goto("/");
  for (let seen = 0; seen < 3; seen += 1) await other.waitForResponse(/\/api\/internal\/board/);
  expect(polls).toBe(0);
  await expect(site.state).toHaveText("Never deployed");
  const asked = page.waitForRequest(/\/api\/internal\/board/, { timeout: 1_500 });
  await show("visible");
  await asked;
  await expect(site.state).toHaveText(/Running|Succeeded/);
});

test("a poll steals neither focus nor caret nor scroll", async ({ page }) => {
  await page.setViewportSize({ width: 640, height: 480 });
  await page.goto("/");
  const site = new Tile(page, "focus");
  await site.deployIt();
  await expect(site.tile).toContainText("Build pages");
  const beats = async () => {
    for (let seen = 0; seen < 2; seen += 1) await page.waitForResponse(/\/api\/internal\/board/);
  };
  const open = new Tile(page, "page");
  await open.deploy.click();
  await open.confirmation.fill("page-");
  await open.confirmation.press("ArrowLeft");
  await open.confirmation.press("ArrowLeft");
  // Where it stands on the screen: tiles above it may grow meanwhile.
  const before = (await open.tile.boundingBox())?.y;
  await beats();
  await expect(open.confirmation).toBeFocused();
  const caret = await open.confirmation.evaluate((box: HTMLInputElement) => [box.selectionStart, box.selectionEnd, box.value]);
  expect(caret).toEqual([3, 3, "page-"]);
  const moved = ((await open.tile.boundingBox())?.y ?? Infinity) - (before ?? 0);
  // Scrolling counts in whole pixels, tiles do not; a line of log would be 19.
  expect(Math.abs(moved)).toBeLessThan(2);
});

test("a log that grows moves neither selection nor focus nor the reader", async ({ page, demo }) => {
  await page.setViewportSize({ width: 640, height: 320 });
  await page.goto(`/deploys/${await demo.deploy("log-site")}`);
  const log = page.getByRole("log");
  await expect(log).toContainText("Resolving dependencies");
  const selected = await log.getByText("Checking out main").evaluate((line) => {
    getSelection()?.selectAllChildren(line);
    return getSelection()?.toString();
  });
  const link = page.getByRole("link", { name: "Deploys" });
  await link.focus();
  // It follows its end, until somebody reads further up: by more than a line, that is.
  await expect.poll(() => log.evaluate((element) => element.scrollTop)).toBeGreaterThan(60);
  await log.evaluate((element) => (element.scrollTop = 0));
  const length = (await log.innerText()).length;
  await expect.poll(async () => (await log.innerText()).length).toBeGreaterThan(length);
  expect(await log.evaluate((element) => element.scrollTop)).toBe(0);
  expect(await page.evaluate(() => getSelection()?.toString())).toBe(selected);
  await expect(link).toBeFocused();
});

test("a run that says nothing is called silent", async ({ page, demo }) => {
  await demo.choose("deploy-silent.yml", "queued");
  await page.clock.install();
  await page.goto("/");
  const site = new Tile(page, "silent");
  const id = await demo.deploy(site.slug);
  await expect.poll(() => demo.state(id)).toBe("queued");
  await expect(site.state).toHaveText("Queued");
  await expect(site.tile).not.toContainText("Nothing has been heard");
  await page.clock.fastForward("02:30");
  await expect(site.tile).toContainText(/Nothing has been heard of it for 2 min/);
  await site.openRecord();
  await expect(page.getByText(/Nothing has been heard of it for 2 min/)).toBeVisible();
});

test("health is shown as it is found", async ({ page, demo }) => {
  await demo.setHealth("silent-site", 503);
  await page.goto("/");
  const site = new Tile(page, "silent");
  await expect(site.tile).toContainText("Unhealthy – 503 Service Unavailable");
  await demo.setHealth("silent-site", 200);
  await expect(site.tile).toContainText("Healthy");
});
