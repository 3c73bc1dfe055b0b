// The main job: press Deploy, type the slug, watch it land.

import { expect, networkTrouble, test, Tile } from "../support/fixtures.ts";

test("a deploy lands, live, and its record tells the story", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1, name: "Sites" })).toBeVisible();
  const site = new Tile(page, "success");
  await expect(site.state).toHaveText("Never deployed");
  await site.deploy.click();
  await site.confirmation.fill(site.slug);
  await site.reason.fill("Ship it");
  await site.confirm.click();
  await expect(site.dialog).toBeHidden();
  await expect(site.state).toHaveText("Running");
  await expect(site.tile).toContainText("Build pages");
  await expect(site.tile).toContainText(/\[\d\/5\] /);
  await expect(site.deploy).toBeDisabled();
  await expect(site.state).toHaveText("Succeeded");
  await expect(site.deploy).toBeEnabled();
  await site.openRecord();
  await expect(page.getByRole("heading", { level: 1, name: "Deploy of success-site" })).toBeVisible();
  await expect(page.getByRole("status")).toHaveText("Succeeded");
  await expect(page.getByText("Ship it").first()).toBeVisible();
  await expect(page.getByRole("log")).toContainText("Checking out main");
  await expect(page.getByRole("log")).toContainText("Healthy");
  await expect(page.getByRole("link", { name: /^Run \d+/ })).toHaveAttribute("href", /actions\/runs\/\d+/);
  await expect(page.getByText("the run’s callback")).toBeVisible();
});

test("a failure shows its step and its reason on tile and record", async ({ page }) => {
  await page.goto("/");
  const site = new Tile(page, "failure");
  await site.deployIt();
  await expect(site.state).toHaveText("Failed");
  const because = "Failed at Check the address because Error: /health still answers 503 after 3 tries (exit code 1)";
  await expect(site.tile).toContainText(because);
  await site.openRecord();
  await expect(page.getByText(because).first()).toBeVisible();
  await expect(page.getByRole("log")).toContainText("still answers 503");
});

test("a refused dispatch frees the site and says what GitHub said", async ({ page }) => {
  await page.goto("/");
  const site = new Tile(page, "refused");
  await site.deployIt();
  await expect(site.state).toHaveText("Not dispatched");
  await expect(site.tile).toContainText("Unexpected inputs provided");
  await expect(site.deploy).toBeEnabled();
});

test("an unknown dispatch says that it is unknown, and keeps the site", async ({ page, demo }) => {
  await page.goto("/");
  const site = new Tile(page, "unknown");
  await site.deployIt();
  await expect(site.state).toHaveText("Dispatch unknown");
  await expect(site.tile).toContainText("will not dispatch again");
  await expect(site.deploy).toBeDisabled();
  expect(await demo.dispatches("deploy-unknown.yml")).toBe(1);
});

test("a double click makes one deploy", async ({ page, demo }) => {
  await page.goto("/");
  const site = new Tile(page, "double");
  await site.deploy.click();
  await site.confirmation.fill(site.slug);
  await site.confirm.dblclick();
  await expect(site.state).toHaveText("Succeeded");
  expect(await demo.dispatches("deploy-double.yml")).toBe(1);
});

test("a second operator sees it within a poll, and is refused kindly", async ({ page, context, tolerated }) => {
  tolerated.push(networkTrouble);
  const other = await context.newPage();
  await other.goto("/");
  await page.goto("/");
  const [mine, theirs] = [new Tile(page, "second"), new Tile(other, "second")];
  // The other has the dialog open already.
  await theirs.deploy.click();
  await theirs.confirmation.fill(theirs.slug);
  await mine.deployIt();
  await expect(theirs.state).toHaveText("Running");
  await theirs.confirm.click();
  await expect(theirs.dialog.getByRole("alert")).toContainText("active deploy already");
  await expect(theirs.confirmation).toHaveValue(theirs.slug);
  await theirs.dialog.getByRole("link", { name: "Its record" }).click();
  await expect(other.getByRole("heading", { level: 1, name: "Deploy of second-site" })).toBeVisible();
});

test("a reload in the middle changes nothing", async ({ page, demo }) => {
  await page.goto("/");
  const site = new Tile(page, "reload");
  await site.deployIt();
  await expect(site.tile).toContainText("Build pages");
  await page.reload();
  await expect(site.state).toHaveText("Running");
  await expect(site.tile).toContainText(/Build pages|Publish pages/);
  await expect(site.state).toHaveText("Succeeded", { timeout: 60_000 });
  expect(await demo.dispatches("deploy-reload.yml")).toBe(1);
});
