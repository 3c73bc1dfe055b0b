// Coming in, going out, and what each may do.

import { Demo } from "../support/demo.ts";
import { expect, networkTrouble, password, person, signIn, test, Tile } from "../support/fixtures.ts";

test.use({ signedIn: false });

const sites = { level: 1, name: "Sites" } as const;

test("the set-up link makes the first admin, once", async ({ page, tolerated }) => {
  tolerated.push(networkTrouble);
  const demo = await Demo.startApart();
  try {
    const link = await demo.serve();
    await page.goto(link);
    await expect(page.getByRole("heading", { level: 1, name: "Become the first admin" })).toBeVisible();
    await page.getByRole("textbox", { name: "Name" }).fill("grace");
    await page.getByRole("textbox", { name: "Password" }).fill("password1234");
    await page.getByRole("button", { name: "Set password and sign in" }).click();
    await expect(page.getByRole("alert")).toContainText("guessed first");
    await expect(page.getByRole("textbox", { name: "Name" })).toHaveValue("grace");
    await page.getByRole("textbox", { name: "Password" }).fill(password);
    await page.getByRole("button", { name: "Set password and sign in" }).click();
    await expect(page.getByRole("heading", sites)).toBeVisible();
    await expect(page.getByRole("link", { name: "Operator grace" })).toBeVisible();
    await page.goto(link);
    await expect(page.getByRole("heading", { level: 1, name: "This link opens nothing any more" })).toBeVisible();
  } finally {
    await demo.stop();
  }
});

test("a wrong password says so and keeps the name; the right one leads back", async ({ page, context, demo, tolerated }) => {
  tolerated.push(networkTrouble);
  await person(demo, context, "wanda", "viewer");
  await context.clearCookies();
  await page.goto("/deploys");
  await expect(page.getByRole("heading", { level: 1, name: "Sign in" })).toBeVisible();
  await signIn(page, "wanda", "wrong");
  await expect(page.getByRole("alert")).toContainText("Name or password is wrong");
  await expect(page.getByRole("textbox", { name: "Name" })).toHaveValue("wanda");
  await signIn(page, "wanda");
  await expect(page.getByRole("heading", { level: 1, name: "Deploys" })).toBeVisible();
});

test("a session that ends under an open dialog loses nothing", async ({ page, context, demo, tolerated }) => {
  tolerated.push(networkTrouble);
  await person(demo, context, "erik", "deployer");
  await page.goto("/");
  const site = new Tile(page, "session");
  await site.deploy.click();
  await site.confirmation.fill(site.slug);
  await site.reason.fill("typed at 3 a.m.");
  await demo.api("operators/disabled", { name: "erik", disabled: true });
  await demo.api("operators/disabled", { name: "erik", disabled: false });
  await expect(site.dialog.getByRole("alert")).toContainText("Your session has ended, and nothing was deployed");
  await expect(site.reason).toHaveValue("typed at 3 a.m.");
  await site.dialog.getByRole("link", { name: "Sign in again" }).click();
  await signIn(page, "erik");
  await expect(site.dialog).toBeVisible();
  await expect(site.reason).toHaveValue("typed at 3 a.m.");
  await expect(site.confirmation).toHaveValue("");
  expect(await demo.dispatches("deploy-session.yml")).toBe(0);
  await site.confirmation.fill(site.slug);
  await site.confirm.click();
  await expect(site.dialog).toBeHidden();
  await site.openRecord();
  await expect(page.getByText("typed at 3 a.m.").first()).toBeVisible();
});

test("signing out in one tab is seen in the other, which comes back to where it was", async ({ page, context, demo, tolerated }) => {
  tolerated.push(networkTrouble);
  await person(demo, context, "otto", "viewer");
  await page.goto("/sites/session-site");
  const other = await context.newPage();
  await other.goto("/");
  await other.getByRole("button", { name: "Sign out", exact: true }).click();
  await expect(other.getByRole("heading", { level: 1, name: "Sign in" })).toBeVisible();
  await expect(page.getByRole("alert")).toContainText("Your session has ended");
  await page.getByRole("link", { name: "Sign in again" }).click();
  await signIn(page, "otto");
  await expect(page.getByRole("heading", { level: 1, name: "The session site" })).toBeVisible();
});

test("a real OpenID provider lets its developers in, and nobody else", async ({ page, context, tolerated }) => {
  tolerated.push(networkTrouble);
  const demo = await Demo.startApart();
  try {
    await demo.startProvider();
    await demo.startConsole();
    const through = async (login: string) => {
      await page.goto(`${demo.url}/deploys`);
      await page.getByRole("link", { name: "Sign in with Example ID" }).click();
      await page.getByPlaceholder("Enter any login").fill(login);
      await page.getByPlaceholder("and password").fill("anything");
      await page.getByRole("button", { name: "Sign-in" }).click();
      await page.getByRole("button", { name: "Continue" }).click();
    };
    await through("dana");
    await expect(page.getByRole("heading", { level: 1, name: "Deploys" })).toBeVisible();
    await page.getByRole("link", { name: "Operator dana" }).click();
    await expect(page.getByText("Signs in through the OpenID provider")).toBeVisible();
    await expect(page.getByRole("button", { name: "Change password" })).toBeHidden();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Sign in" })).toBeVisible();
    await context.clearCookies();
    await through("outsider");
    await expect(page.getByRole("alert")).toContainText("None of your groups has a role");
  } finally {
    await demo.stop();
  }
});

test("a form of another origin is not carried out", async ({ page, context, demo, tolerated }) => {
  tolerated.push(networkTrouble);
  await person(demo, context, "xenia", "viewer");
  // The same host and another port: the cookie goes along, and only the origin tells.
  await page.goto(demo.standInUrl);
  await page.setContent(`<form method="post" action="${demo.url}/sign-out"><button>Win a prize</button></form>`);
  const answer = page.waitForResponse(`${demo.url}/sign-out`);
  await page.getByRole("button", { name: "Win a prize" }).click();
  expect((await answer).status()).toBe(403);
  await page.goto("/");
  await expect(page.getByRole("heading", sites)).toBeVisible();
});

test("a viewer sees everything and is told why they cannot deploy", async ({ page, context, demo }) => {
  await person(demo, context, "vera", "viewer");
  await page.goto("/");
  const site = new Tile(page, "session");
  await expect(site.tile).toContainText("Viewers cannot deploy");
  await expect(site.deploy).toBeDisabled();
  await expect(site.deploy).toHaveAccessibleDescription(/An admin can make you a deployer/);
  await expect(page.getByRole("link", { name: "People" })).toBeHidden();
});

test("an admin's page is not for others", async ({ page, context, demo, tolerated }) => {
  tolerated.push(networkTrouble);
  await person(demo, context, "vito", "viewer");
  const response = await page.goto("/people");
  expect(response?.status()).toBe(403);
  await expect(page.getByRole("heading", { level: 1, name: "You may not do that" })).toBeVisible();
});

test("a token is shown once, works, and is revoked", async ({ page, context, demo }) => {
  await person(demo, context, "tom", "deployer");
  await page.goto("/account");
  await page.getByRole("textbox", { name: "What will use it" }).fill("nightly job");
  await page.getByRole("checkbox", { name: "session-site" }).check();
  await page.getByRole("button", { name: "Create token" }).click();
  const token = await page.getByRole("textbox", { name: "New token" }).inputValue();
  expect(token).toMatch(/^rxc_[\w-]{43}$/);
  demo.keepSecret(token);
  const asked = () => fetch(`${demo.url}/api/internal/board`, { headers: { authorization: `Bearer ${token}` } });
  expect((await asked()).status).toBe(200);
  await page.reload();
  await expect(page.getByRole("textbox", { name: "New token" })).toBeHidden();
  await page.getByRole("button", { name: "Revoke the token nightly job" }).click();
  await expect(page.getByText(/nightly job/)).toBeVisible();
  await expect(page.getByText(/revoked \d{4}/)).toBeVisible();
  expect((await asked()).status).toBe(401);
});

test("sessions are listed and ended, and a password is changed", async ({ page, context, browser, demo }) => {
  await person(demo, context, "sara", "viewer");
  const elsewhere = await browser.newContext({ baseURL: demo.url });
  const phone = await elsewhere.newPage();
  await phone.goto("/sign-in");
  await signIn(phone, "sara");
  await expect(phone.getByRole("heading", sites)).toBeVisible();
  await page.goto("/account");
  await expect(page.getByText("This one")).toBeVisible();
  await page.getByRole("button", { name: /End the session from 127.0.0.1/ }).click();
  await expect(page.getByRole("button", { name: /End the session/ })).toHaveCount(0);
  await phone.goto("/");
  await expect(phone.getByRole("heading", { level: 1, name: "Sign in" })).toBeVisible();
  await elsewhere.close();
  await page.getByRole("textbox", { name: "Present password" }).fill(password);
  await page.getByRole("textbox", { name: "New password" }).fill("another lamp otter violin");
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("Changed. Your other sessions have ended.")).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { level: 1, name: "Your account" })).toBeVisible();
});

test.describe("as an admin", () => {
  test.use({ signedIn: true });

  test("people are let in, changed and kept out", async ({ page, tolerated }) => {
    tolerated.push(networkTrouble);
    await page.goto("/people");
    await page.getByRole("textbox", { name: "Name" }).fill("paula");
    await page.getByRole("button", { name: "Add operator" }).click();
    await expect(page.getByRole("textbox", { name: "One-time link" })).toHaveValue(/\/set-up\/[\w-]{43}$/);
    const role = page.getByRole("combobox", { name: "Role of paula" });
    await expect(role).toHaveValue("deployer");
    await role.selectOption("Viewer");
    await page.getByRole("button", { name: "Disable paula" }).click();
    await expect(page.getByRole("button", { name: "Enable paula" })).toBeVisible();
    await page.reload();
    await expect(role).toHaveValue("viewer");
    await page.getByRole("textbox", { name: "Name" }).fill("PAULA");
    await page.getByRole("button", { name: "Add operator" }).click();
    await expect(page.getByRole("alert").filter({ hasText: "already" })).toBeVisible();
  });

  test("the audit trail is read, filtered and exported", async ({ page, demo }) => {
    await demo.api("operators", { name: "aude", role: "viewer" });
    await page.goto("/audit");
    await page.getByRole("combobox", { name: "Action" }).selectOption("Added an operator");
    await page.getByRole("textbox", { name: "About" }).fill("aude");
    await page.getByRole("button", { name: "Filter" }).click();
    await expect(page).toHaveURL(/action=operator_added/);
    await expect(page.getByRole("listitem")).toHaveCount(1);
    await expect(page.getByRole("listitem")).toContainText("you added an operator: aude");
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Export as JSON lines" }).click();
    expect((await download).suggestedFilename()).toMatch(/^audit-\d+\.jsonl$/);
  });
});
