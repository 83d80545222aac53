// The gateway's status page in a real headless Chromium, as a person at home sees it.
//
//   PAGE=http://127.0.0.1:PORT SHOTS=folder FIRST="headline" THEN="headline" SECRETS="a,b" node gateway.mjs
//
// Loads the page once, checks it while its headline is FIRST, prints "surveyed", and waits until the headline is
// THEN without loading again. None of SECRETS may be on it. CHROMIUM: the browser (/usr/bin/chromium).
// Exit 0 if everything held, 1 with a sentence about what did not.

import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { scan } from "./common.mjs";

const { PAGE, SHOTS, FIRST, THEN, SECRETS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;
const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];
const SOON = 60_000;

class Failure extends Error {}
const ensure = (holds, words) => {
  if (!holds) throw new Failure(words);
};

const headline = (page) => page.getByRole("heading", { level: 1 }).innerText();

async function untilHeadline(page, text) {
  try {
    await page.waitForFunction((text) => document.querySelector("h1")?.innerText === text, text, { timeout: SOON, polling: 200 });
  } catch {
    throw new Failure(`the headline is ${JSON.stringify(await headline(page))}, not ${JSON.stringify(text)}`);
  }
}

async function survey(page, name) {
  const text = await page.locator("html").innerText();
  for (const secret of SECRETS.split(",").filter((secret) => secret !== "")) {
    ensure(!(await page.content()).includes(secret), `${name}: the page says ${secret}`);
  }
  ensure(/Research software, not a medical device/.test(text), `${name}: it does not say what it is`);
  const size = await page.evaluate(() => parseFloat(getComputedStyle(document.body).fontSize));
  ensure(size >= 20, `${name}: text of ${size} px is not large`);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const size of SIZES) {
      await page.setViewportSize(size);
      const where = `${name}, ${colorScheme}, ${size.width}x${size.height}`;
      const { violations } = await new AxeBuilder({ page }).options({ rules: { "target-size": { enabled: true } } }).analyze();
      const found = violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => n.failureSummary).join("\n  ")}`);
      ensure(found.length === 0, `${where}: accessibility:\n${found.join("\n")}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      ensure(overflow <= 0, `${where}: wider than the screen by ${overflow} px`);
      if (SHOTS) await page.screenshot({ path: join(SHOTS, `gateway-${name}-${colorScheme}-${size.width}.png`), fullPage: true });
    }
  }
}

/** The other moods of the headline, for their contrast alone. */
async function moods(page) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const mood of ["good", "note", "help"]) {
      await page.evaluate((mood) => (document.querySelector(".headline").className = `headline ${mood}`), mood);
      const { violations } = await new AxeBuilder({ page }).include(".headline").withRules(["color-contrast"]).analyze();
      ensure(violations.length === 0, `${mood}, ${colorScheme}: ${violations.map((v) => v.help).join()}`);
    }
  }
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  const page = await (await browser.newContext()).newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(PAGE);
  await untilHeadline(page, FIRST);
  await survey(page, "first");
  const told = await page.locator(".own .address").innerText();
  ensure(/^https:\/\/[^/]+\/sign-in$/.test(told) && (await scan(page)) === told, `the way to one's own page is ${told}`);
  await page.evaluate(() => (window.neverLoadedAgain = true));
  console.log("surveyed");
  await untilHeadline(page, THEN);
  ensure(await page.evaluate(() => window.neverLoadedAgain === true), "the page was loaded again");
  await survey(page, "then");
  await moods(page);
  ensure(complaints.length === 0, `the page complains:\n${complaints.join("\n")}`);
} catch (error) {
  console.error(error instanceof Failure ? error.message : error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
