import { defineConfig } from "@playwright/test";

// Any Chromium that is installed; scripts/e2e looks for it.
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

export default defineConfig({
  outputDir: "test-results",
  workers: 2,
  fullyParallel: true,
  forbidOnly: true,
  reporter: [["list"]],
  // Generous: two cores share the console, its runs and two browsers.
  timeout: 120_000,
  expect: { timeout: 40_000 },
  use: {
    trace: "retain-on-failure",
    viewport: { width: 1280, height: 800 },
    launchOptions: {
      executablePath,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    },
  },
  projects: [
    { name: "browser", testDir: "tests" },
    { name: "screenshots", testDir: "screenshots", timeout: 240_000 },
  ],
});
