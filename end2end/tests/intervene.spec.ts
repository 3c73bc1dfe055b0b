// GitHub has the last word, what blocks a deploy is said, and it can be cancelled, or closed by hand when it is lost.

import { expect, networkTrouble, test, Tile } from "../support/fixtures.ts";

test("a run that never calls back lands by GitHub’s word", async ({ page }) => {
  await page.goto("/");
  const site = new Tile(page, "mute");
  await site.deployIt();
  await expect(site.state).toHaveText("Succeeded", { timeout: 60_000 });
  await site.openRecord();
  await expect(page.getByText("GitHub’s API", { exact: true })).toBeVisible();
  await expect(page.getByText("Check the address")).toBeVisible();
});

test("a running deploy is cancelled with a confirmation of its own", async ({ page }) => {
  await page.goto("/");
  const site = new Tile(page, "cancel");
  await site.deployIt();
  await expect(site.state).toHaveText("Running");
  await site.openRecord();
  const open = page.getByRole("button", { name: "Cancel deploy" });
  const dialog = page.getByRole("dialog", { name: "Cancel the deploy of cancel-site" });
  await open.click();
  await expect(dialog.getByRole("button", { name: "Keep it running" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(open).toBeFocused();
  await open.click();
  await dialog.getByRole("button", { name: "Yes, cancel it" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("status")).toHaveText("Cancelled");
  await expect(open).toBeHidden();
  await expect(page.getByText("asked to cancel")).toBeVisible();
});

test("a run that waits for an approval says for whose, on tile and record", async ({ page }) => {
  await page.goto("/");
  const site = new Tile(page, "approval");
  await site.deployIt();
  const blocked = "Blocked by an approval for production, which grace or operations may give.";
  await expect(site.tile).toContainText(blocked);
  await expect(site.state).toHaveText("Queued");
  await site.openRecord();
  await expect(page.getByRole("main")).toContainText(blocked);
  await expect(page.getByRole("link", { name: "Review it on GitHub" })).toHaveAttribute("href", /actions\/runs\/\d+$/);
  await page.getByRole("button", { name: "Cancel deploy" }).click();
  await page.getByRole("button", { name: "Yes, cancel it" }).click();
  await expect(page.getByRole("status")).toHaveText("Cancelled");
  await expect(page.getByRole("main")).not.toContainText("Blocked by");
});

test("a lost deploy is closed by hand, and a poll takes nothing from the form", async ({ page, tolerated }) => {
  tolerated.push(networkTrouble);
  await page.goto("/");
  const site = new Tile(page, "deleted");
  await site.deployIt();
  await expect(site.state).toHaveText("Lost", { timeout: 60_000 });
  await expect(site.tile).toContainText("Not Found");
  await expect(site.deploy).toBeDisabled();
  await site.openRecord();
  const form = page.getByRole("group", { name: "Close by hand" });
  const close = form.getByRole("button", { name: "Close deploy" });
  await expect(close).toBeDisabled();
  await form.getByRole("radio", { name: "Failed" }).check();
  await form.getByRole("textbox", { name: "How do you know?" }).fill("The release page shows the old version");
  await page.waitForResponse((response) => response.url().includes("/api/internal/deploy?"));
  await page.waitForResponse((response) => response.url().includes("/api/internal/deploy?"));
  await expect(form.getByRole("radio", { name: "Failed" })).toBeChecked();
  await close.click();
  await expect(page.getByRole("status")).toHaveText("Failed");
  await expect(form).toBeHidden();
  await expect(page.getByText("closed by hand: The release page shows the old version")).toBeVisible();
  await expect(page.getByText("an operator", { exact: true })).toBeVisible();
});
