// What the browser tests share: waiting, complaints of the page, accessibility and layout.

import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import jsQR from "jsqr";

/** Where screenshots go; empty: nowhere. */
export const shots = { folder: "" };
/** For what should come at once; generous, because two cores may be busy with five other stories. */
export const SOON = 60_000;

export const SIZES = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
  { width: 360, height: 740 },
];

/** Of every browser here. */
export const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** `more`: further arguments of the browser. */
export function launch(executablePath, more = []) {
  return chromium.launch({ executablePath, args: [...ARGUMENTS, ...more] });
}

export class Failure extends Error {}
export const ensure = (holds, words) => {
  if (!holds) throw new Failure(words);
};

/** Polls in the page until `probe` is true there. */
export async function until(page, words, limit, probe, argument) {
  try {
    await page.waitForFunction(probe, argument, { timeout: limit, polling: 200 });
  } catch (error) {
    throw new Failure(`${words} (waited ${limit / 1000} s): ${error.message.split("\n")[0]}`);
  }
}

/** What a page complains about: console errors, exceptions, violations of the content security policy. */
export async function listen(context, complaints) {
  // Playwright's own patience is half a minute.
  context.setDefaultTimeout(SOON);
  await context.addInitScript(() => {
    window.policyViolations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      window.policyViolations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  context.on("page", (page) => {
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  });
}

export async function check(page, name, complaints) {
  const violations = await page.evaluate(() => window.policyViolations);
  complaints.push(...violations.map((violation) => `policy: ${violation}`));
  ensure(complaints.length === 0, `${name}: the page complains:\n${complaints.join("\n")}`);
}

/** The screen of a monitoring room, for the views that are looked at all day. */
export const VAST = ["light", "dark"].map((scheme) => [{ width: 1920, height: 1080 }, scheme]);
export const EVERY = ["light", "dark"].flatMap((scheme) => SIZES.map((size) => [size, scheme]));

/** Accessibility and layout, each of `views` a size with a colour scheme: all of them unless said otherwise. */
export async function survey(page, name, views = EVERY) {
  for (const [size, colorScheme] of views) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    // Two frames: charts follow their box by an observer.
    await page.evaluate(() => scrollTo(0, 0));
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const where = `${name}, ${colorScheme}, ${size.width}x${size.height}`;
    // Without frames of others the findings need no tab of their own to be put together in.
    const axe = new AxeBuilder({ page }).setLegacyMode().options({ rules: { "target-size": { enabled: true } } });
    const { violations } = await axe.analyze();
    const found = violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.html.slice(0, 160)}\n  ${n.failureSummary}`).join("\n  ")}`);
    ensure(found.length === 0, `${where}: accessibility:\n${found.join("\n")}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    const widest = overflow <= 0 ? "" : await page.evaluate(() => {
      const out = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > window.innerWidth + 1);
      return out.slice(-3).map((e) => `<${e.tagName.toLowerCase()} class="${e.className}">${e.textContent.slice(0, 40)}`).join(", ");
    });
    ensure(overflow <= 0, `${where}: wider than the screen by ${overflow} px: ${widest}`);
    // A dialog covers what can be seen, not the whole page.
    const fullPage = (await page.locator("dialog[open]").count()) === 0;
    if (shots.folder !== "") await page.screenshot({ path: join(shots.folder, `${name}-${colorScheme}-${size.width}.png`), fullPage });
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(SIZES[0]);
}

/** What a scanner reads from what is on the screen. */
export async function scan(page) {
  const shot = await page.locator("svg.qr").screenshot();
  const blank = await page.context().newPage();
  const { data, width, height } = await blank.evaluate(async (png) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return { data: [...image.data], width: image.width, height: image.height };
  }, shot.toString("base64"));
  await blank.close();
  const found = jsQR(new Uint8ClampedArray(data), width, height);
  ensure(found !== null, "no scanner reads the QR code");
  return found.data;
}
