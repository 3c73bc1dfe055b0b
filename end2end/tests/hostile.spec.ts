// Text from outside is text, wherever it is shown.

import { expect, test, Tile } from "../support/fixtures.ts";

const script = `<script>window.hostile = true</script><img src=x onerror="window.hostile = true">`;
const escapes = "\u001b]0;title\u0007\u001b]8;;javascript:alert(1)\u0007link\u001b]8;;\u0007\u001b[2J\u001b[31mred\u001b[0m\u009b1m";
const bidi = "\u202eesrever\u2066\u200f";

test("hostile text is shown harmlessly everywhere", async ({ page, demo }) => {
  const name = `<b>${"x".repeat(20)}</b><script>`;
  const { url } = await demo.api<{ url: string }>("operators", { name, role: "deployer" });
  await demo.choose("deploy-hostile.yml", "queued");
  const id = await demo.deploy("hostile-site", `${script} ${bidi}`);
  await expect.poll(() => demo.state(id)).toBe("queued");
  const { run_id } = await demo.api<{ run_id: number }>(`deploys/${id}`);
  const step = `${script.slice(0, 60)}${bidi}`;
  const log = (text: string) => ({ text, truncated: false });
  await demo.report(id, { run_id, seq: 1, status: "in_progress", step, log: log(`${script}\n${escapes}\n${bidi}\n\ufffd is what the action makes of bytes that are no UTF-8\n`) });
  // A megabyte without a line's end, in pieces.
  for (let seq = 2; seq < 36; seq += 1) {
    await demo.report(id, { run_id, seq, status: "in_progress", step, log: log("x".repeat(31 * 1024)) });
  }
  const site = new Tile(page, "hostile");
  await page.goto("/");
  await expect(site.tile).toContainText("<script>window.hostile");
  await demo.report(id, { run_id, seq: 40, status: "failure", step, message: `${script} ${escapes} ${bidi}` });
  await expect(site.tile).toContainText(/Failed at <script>/);

  const pages = ["/", `/deploys/${id}`, "/deploys", "/sites/hostile-site", "/audit", "/people", url];
  for (const path of pages) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    const found = await page.evaluate(() => ({
      ran: "hostile" in window,
      // Text that a script or an attribute made of it would be an element.
      elements: document.querySelectorAll("main img, main script:not([nonce]), main b, main a[href^='javascript:']").length,
    }));
    expect(found, path).toEqual({ ran: false, elements: 0 });
  }
  await page.goto(`/deploys/${id}`);
  const shown = page.getByRole("log");
  await page.getByRole("button", { name: "Show from the beginning" }).click();
  await expect(shown).toContainText("<img src=x onerror=");
  const text = await shown.innerText();
  expect(text).toContain("linkred");
  expect(text).toContain("\ufffd is what");
  expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/);
  expect(text).toMatch(/… \d+ more characters/);
  expect(text.length).toBeLessThan(100_000);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(1280);
});
