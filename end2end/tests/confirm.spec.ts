// The friction: only the slug itself, to the letter, deploys.

import { expect, test, Tile } from "../support/fixtures.ts";

test("wrong, partial and padded confirmations do not deploy; a pasted one does", async ({ page, context, demo }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/");
  const site = new Tile(page, "confirm");
  await site.deploy.click();
  await expect(site.confirm).toBeDisabled();
  for (const typed of ["confirm", "confirm-sit", "CONFIRM-SITE", " confirm-site", "confirm-site ", "other-site"]) {
    await site.confirmation.fill(typed);
    await expect(site.confirm).toBeDisabled();
    await site.confirmation.press("Enter");
    await expect(site.dialog).toBeVisible();
  }
  expect(await demo.dispatches("deploy-confirm.yml")).toBe(0);
  await page.evaluate(() => navigator.clipboard.writeText("confirm-site"));
  await site.confirmation.fill("");
  await site.confirmation.press("Control+V");
  await expect(site.confirmation).toHaveValue("confirm-site");
  await expect(site.confirm).toBeEnabled();
  await site.confirm.click();
  await expect(site.state).toHaveText("Succeeded");
});

test("Esc and Cancel close and deploy nothing; Enter confirms", async ({ page, demo }) => {
  await page.goto("/");
  const site = new Tile(page, "keys");
  await site.deploy.click();
  await site.confirmation.fill(site.slug);
  await page.keyboard.press("Escape");
  await expect(site.dialog).toBeHidden();
  await expect(site.deploy).toBeFocused();
  await site.deploy.click();
  await expect(site.confirmation).toHaveValue("");
  await site.confirmation.fill(site.slug);
  await site.dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(site.dialog).toBeHidden();
  expect(await demo.dispatches("deploy-keys.yml")).toBe(0);
  await site.deploy.click();
  await site.confirmation.fill(site.slug);
  await site.confirmation.press("Enter");
  await expect(site.dialog).toBeHidden();
  await expect(site.state).toHaveText("Succeeded");
  expect(await demo.dispatches("deploy-keys.yml")).toBe(1);
});

test("the keyboard alone is enough", async ({ page }) => {
  await page.goto("/");
  const site = new Tile(page, "keyboard");
  await expect(site.deploy).toBeEnabled();
  const isThere = () => site.deploy.evaluate((button) => button === document.activeElement);
  for (let presses = 0; presses < 120 && !(await isThere()); presses += 1) await page.keyboard.press("Tab");
  await expect(site.deploy).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(site.confirmation).toBeFocused();
  await page.keyboard.type(site.slug);
  await page.keyboard.press("Tab");
  await expect(site.reason).toBeFocused();
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await expect(site.confirm).toBeFocused();
  // Focus stays inside: what comes next is never a part of the page behind.
  for (let presses = 0; presses < 6; presses += 1) {
    await page.keyboard.press("Tab");
    const outside = await page.getByRole("main").evaluate((main) => {
      const focused = document.activeElement;
      return focused !== null && main.contains(focused) && focused.closest("dialog") === null;
    });
    expect(outside).toBe(false);
  }
  await site.confirm.focus();
  await page.keyboard.press("Space");
  await expect(site.dialog).toBeHidden();
  await expect(site.state).toHaveText("Succeeded");
});
