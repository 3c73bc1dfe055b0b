// What happens on GitHub without the console is seen all the same: runs that were started by hand, and re-runs of ours.

import { expect, test, Tile } from "../support/fixtures.ts";

test("a run from outside is on the tile, a warning in the dialog, and a line in history", async ({ page, demo }) => {
  await demo.choose("deploy-outside.yml", "queued");
  await demo.startByHand("raxx/outside", "deploy-outside.yml");
  await page.goto("/");
  const site = new Tile(page, "outside");
  await expect(site.tile).toContainText("Started outside the console by octocat", { timeout: 60_000 });
  await expect(site.tile).toContainText("Queued");
  await site.deploy.click();
  await expect(site.dialog).toContainText("Two deploys at once can undo each other.");
  await expect(site.dialog.getByRole("link", { name: /^Run \d+$/ })).toHaveAttribute("href", /actions\/runs\/\d+$/);
  // It warns, and does not forbid.
  await site.confirmation.fill(site.slug);
  await expect(site.confirm).toBeEnabled();
  await page.keyboard.press("Escape");
  for (const path of ["/deploys", `/sites/${site.slug}`]) {
    await page.goto(path);
    const line = page.getByRole("listitem").filter({ hasText: "Started outside the console." });
    await expect(line).toContainText("octocat");
  }
});

test("a re-run on GitHub is an attempt of the same deploy, and the first result stays", async ({ page, demo }) => {
  const id = await demo.deploy("rerun-site", "for the re-run");
  await expect.poll(() => demo.state(id), { timeout: 60_000 }).toBe("failed");
  const { run_id } = await demo.api<{ run_id: number }>(`deploys/${id}`);
  await expect.poll(() => demo.runAgain(run_id)).toBe(true);
  await page.goto("/");
  const site = new Tile(page, "rerun");
  await expect(site.tile).toContainText(/run again on GitHub.*attempt 2/);
  await expect(site.state).toHaveText("Succeeded", { timeout: 60_000 });
  await site.openRecord();
  const attempts = page.getByRole("navigation", { name: "Attempts" });
  await expect(page.getByRole("main").getByRole("status")).toHaveText("Succeeded");
  await expect(page.getByRole("log")).toContainText("Healthy");
  await attempts.getByRole("link", { name: "The deploy" }).click();
  await expect(page).toHaveURL(`${demo.url}/deploys/${id}`);
  await expect(page.getByRole("main").getByRole("status")).toHaveText("Failed");
  await expect(page.getByRole("log")).toContainText("still answers 503");
  await page.goto("/sites/rerun-site");
  await page.getByRole("link", { name: "run again, attempt 2: Succeeded" }).click();
  await expect(attempts.getByRole("link", { name: /^Re-run, attempt 2/ })).toHaveAttribute("aria-current", "page");
});
