// What an operator sees while the console's record cannot be reached: a PostgreSQL that ends, and comes back.

import { Demo } from "../support/demo.ts";
import { expect, networkTrouble, password, test, Tile } from "../support/fixtures.ts";
import { Postgres } from "../support/postgres.ts";

test.use({ signedIn: false });

test("a record that is away is said in words, and the page goes on by itself when it is back", async ({ page, context, tolerated }) => {
  tolerated.push(networkTrouble);
  const [demo, postgres] = [await Demo.startApart(), await Postgres.start()];
  try {
    demo.keepSecret(postgres.password);
    await page.goto(await demo.serve(postgres.url));
    await page.getByRole("textbox", { name: "Name" }).fill("grace");
    await page.getByRole("textbox", { name: "Password" }).fill(password);
    await page.getByRole("button", { name: "Set password and sign in" }).click();
    const site = new Tile(page, "restart");
    await site.deployIt();
    await expect(site.state).toHaveText("Running");
    const record = await context.newPage();
    await record.goto(demo.url);
    await new Tile(record, "restart").openRecord();
    await expect(record.getByRole("log")).toContainText("Checking out main");
    const other = new Tile(page, "offline");
    await other.deploy.click();
    await other.confirmation.fill(other.slug);
    await other.reason.fill("before the night");

    await postgres.order("crash");
    const banner = page.getByRole("alert").filter({ hasText: /Not updated since \d\d:\d\d:\d\d UTC/ });
    await expect(banner).toContainText("The console runs, and cannot reach its record right now.");
    await expect(banner).toContainText("Trying again every 2 s");
    await expect(site.state).toHaveText("Running");
    await expect(record.getByRole("alert").filter({ hasText: "cannot reach its record right now" })).toBeVisible();
    await expect(record.getByRole("log")).toContainText("Checking out main");
    await other.confirm.click();
    await expect(other.dialog.getByRole("alert")).toContainText(/nothing was done|Nothing was changed|look again in a moment/);
    await expect(other.confirmation).toHaveValue(other.slug);
    await expect(other.reason).toHaveValue("before the night");
    await page.screenshot({ path: "target/screenshots/outage-dialog-light-1280.png" });

    const opened = await context.newPage();
    const answer = await opened.goto(`${demo.url}/deploys`);
    expect(answer?.status()).toBe(503);
    expect(answer?.headers()["retry-after"]).toBeDefined();
    await expect(opened.getByRole("heading", { level: 1, name: "The console cannot reach its record" })).toBeVisible();
    for (const colorScheme of ["light", "dark"] as const) {
      for (const width of [320, 1280]) {
        await opened.emulateMedia({ colorScheme });
        await opened.setViewportSize({ width, height: 640 });
        await opened.screenshot({ path: `target/screenshots/outage-page-${colorScheme}-${width}.png` });
      }
    }

    await postgres.order("start");
    await expect(banner).toBeHidden();
    await other.confirm.click();
    await expect(other.dialog).toBeHidden();
    await expect(other.state).not.toHaveText("Never deployed");
    await expect(site.state).toHaveText("Succeeded", { timeout: 60_000 });
    await expect(record.getByRole("status")).toHaveText("Succeeded");
    await expect(record.getByRole("log")).toContainText("Healthy");
    await expect(record.getByRole("alert")).toBeHidden();
    // The page that could not be drawn comes back by itself as well.
    await expect(opened.getByRole("heading", { level: 1, name: "Deploys" })).toBeVisible();
    await expect(other.state).toHaveText("Succeeded", { timeout: 60_000 });
    expect(await demo.dispatches("deploy-restart.yml")).toBe(1);
    expect(await demo.dispatches("deploy-offline.yml")).toBe(1);
  } finally {
    await demo.stop();
    postgres.stop();
  }
});
