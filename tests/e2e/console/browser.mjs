// Chromium for the tests of the console. Every error in a page's log counts as a failure of the test that opened it.
import { strict as assert } from "node:assert";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

export const chromiumPath = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
export const noBrowser = existsSync(chromiumPath) ? false : `there is no ${chromiumPath}: install chromium, or set CHROMIUM_BIN`;

export function launch() {
  return chromium.launch({
    executablePath: chromiumPath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** A page in a profile of its own. `allowed` matches messages of the browser that the test expects. */
export async function openPage(browser, { width = 1280, height = 860, locale = "en-US", colours = "light", allowed = /^$/ } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale, colorScheme: colours });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const errors = [];
  page.on("pageerror", (error) => errors.push(`exception: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !allowed.test(message.text())) errors.push(`${message.type()}: ${message.text()}`);
  });
  return {
    page,
    close: async () => {
      await context.close();
      assert.deepEqual(errors, [], "the console of the browser has errors");
    },
  };
}

/** Goes to a page of the console and waits until it shows. */
export async function show(page, url, name, ...args) {
  await page.goto(`${url}/#/${[name, ...args].map(encodeURIComponent).join("/")}`);
  await page.locator(`main[data-page="${name}"]`).waitFor();
  await page.locator("main .loading").waitFor({ state: "detached" });
}
