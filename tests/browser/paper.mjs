// A patient's page on paper, in a real headless Chromium and before a made-up centre (centre.mjs): written down first, on A4 and on
// Letter, in both languages, light on paper whatever the screen is; read back by another maker's program (poppler).
//
//   SHOTS=folder node paper.mjs
//
//   CHROMIUM    the browser (/usr/bin/chromium)
//
// Exit 0 if everything held, 1 with a sentence about what did not. SHOTS gets the files and a picture of their sheets.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startCentre } from "./centre.mjs";
import { ensure, Failure, launch, listen, SOON, until } from "./common.mjs";

const { SHOTS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;

const LANGUAGES = {
  "en-GB": { print: "Print or save as PDF", by: /Printed by Night nurse \(nurse\) on /, page: (n, of) => `Page ${n} of ${of}`, test: "TEST DATA: no real person", no: "It was not printed", trends: "Trends: 1 hour", coverage: "Not worn" },
  "de-DE": { print: "Drucken oder als PDF sichern", by: /Gedruckt von Night nurse \(Pflege\) am /, page: (n, of) => `Seite ${n} von ${of}`, test: "TESTDATEN: keine wirkliche Person", no: "Es wurde nicht gedruckt", trends: "Verläufe: 1 Stunde", coverage: "Nicht getragen" },
};

const complaints = [];

async function open(browser, centre, locale) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "dark", locale, timezoneId: "Europe/Berlin" });
  // The dialog of a browser that somebody sees; the sheets are made by DevTools meanwhile.
  await context.addInitScript(() => (window.print = () => (window.printing = true)));
  await listen(context, complaints);
  const page = await context.newPage();
  await page.goto(`${centre.url}/#/patient/${centre.people[1].id}`);
  await page.locator(".alert-card.active .alert-summary").first().waitFor({ timeout: SOON });
  await until(page, "no trend is drawn", SOON, () => [...document.querySelectorAll(".trend .chart")].some((e) => / (readings|Messwerte), /.test(e.getAttribute("aria-label") ?? "")));
  return page;
}

/** A sheet's words, sheet by sheet. */
function read(file) {
  const text = execFileSync("pdftotext", ["-layout", file, "-"], { encoding: "utf8" });
  return text.split("\f").slice(0, -1).map((sheet) => sheet.replaceAll(/\s+/g, " "));
}

/** Width and height of the first sheet, points. */
function size(file) {
  const found = /Page size:\s+([\d.]+) x ([\d.]+)/.exec(execFileSync("pdfinfo", [file], { encoding: "utf8" }));
  return [Number(found[1]), Number(found[2])];
}

function hold(sheets, words, { name, id, summary }) {
  sheets.forEach((sheet, n) => {
    const where = `sheet ${n + 1} of ${sheets.length}`;
    ensure(sheet.includes(`${name} · ${id}`), `${where} does not say who it is about: ${sheet.slice(0, 200)}`);
    ensure(sheet.includes(words.test), `${where} does not say that it is test data`);
    ensure(words.by.test(sheet), `${where} does not say who printed it and when: ${sheet.slice(-300)}`);
    ensure(sheet.includes(words.page(n + 1, sheets.length)), `${where} does not say which it is: ${sheet.slice(-200)}`);
  });
  ensure(sheets.length >= 2 && sheets.length <= 8, `${sheets.length} sheets`);
  const all = sheets.join(" ");
  for (const must of [summary, words.trends, words.coverage]) ensure(all.includes(must), `not on paper: ${must}`);
  ensure(!all.includes("vitaltwin"), "the frame is on paper, and counts the alerts of others");
  for (const button of ["Acknowledge", "Quittieren", "Snooze", words.print]) ensure(!new RegExp(`${button}\\b(?!d)`).test(all), `a button is on paper: ${button}`);
}

/** Light from corner to corner: dark screens waste ink and hide what is written. */
function light(picture) {
  const pixels = execFileSync("pdftoppm", ["-r", "20", "-gray", "-f", "1", "-l", "1", picture], { maxBuffer: 1 << 26 });
  const body = pixels.subarray(pixels.indexOf("255\n") + 4);
  const mean = body.reduce((sum, one) => sum + one, 0) / body.length;
  ensure(mean > 200, `the paper is dark: ${mean.toFixed(0)} of 255`);
}

async function story(browser, folder) {
  const centre = await startCentre({ patients: 3 });
  centre.as("nurse");
  try {
    const of = centre.people[1];
    const { summary } = centre.raise(1, "oxygen_saturation_low");
    const about = { name: of.name, id: of.id, summary };
    for (const [locale, format, [width, height]] of [["en-GB", "A4", [595, 842]], ["de-DE", "Letter", [612, 792]]]) {
      const words = LANGUAGES[locale];
      const page = await open(browser, centre, locale);
      const press = () => page.getByRole("button", { name: words.print }).press("Enter");
      // What cannot be written down is not printed.
      centre.writeNothing(true);
      await press();
      await page.getByText(words.no).waitFor({ timeout: SOON });
      ensure(!(await page.evaluate(() => window.printing)), "it was printed although nobody could write it down");
      centre.writeNothing(false);
      const before = centre.printed.length;
      await press();
      await until(page, "it is not printed", SOON, () => window.printing === true);
      ensure(centre.printed.length === before + 1 && centre.printed.at(-1) === of.id, `written down: ${centre.printed}`);
      const file = join(folder, `paper-${format}.pdf`);
      writeFileSync(file, await page.pdf({ format, preferCSSPageSize: false, printBackground: true }));
      hold(read(file), words, about);
      light(file);
      const got = size(file);
      ensure(Math.abs(got[0] - width) < 2 && Math.abs(got[1] - height) < 2, `${format} is ${got}`);
      // The screen is as it was.
      await until(page, "the page stays as on paper", SOON, () => document.documentElement.dataset.paper === undefined && document.documentElement.dataset.theme === "dark");
      ensure((await page.evaluate(() => document.documentElement.style.cssText)) === "", "the edges of sheets are left behind");
      if (format === "A4") {
        // By the browser's own menu: nothing waits, and it is written down all the same.
        const noted = centre.printed.length;
        const own = join(folder, "paper-menu.pdf");
        writeFileSync(own, await page.pdf({ format, printBackground: true }));
        hold(read(own), words, about);
        await page.waitForTimeout(200);
        ensure(centre.printed.length > noted, "printed by the browser's menu, and not written down");
      }
      await page.context().close();
    }
    const errors = complaints.filter((words) => !words.includes("503"));
    ensure(errors.length === 0, `the page complains:\n${errors.join("\n")}`);
  } finally {
    centre.stop();
  }
}

async function main() {
  const folder = SHOTS === "" ? mkdtempSync(join(tmpdir(), "paper-")) : SHOTS;
  mkdirSync(folder, { recursive: true });
  const browser = await launch(CHROMIUM);
  try {
    await story(browser, folder);
    if (SHOTS !== "") for (const format of ["A4", "Letter", "menu"]) execFileSync("pdftoppm", ["-r", "60", "-png", join(folder, `paper-${format}.pdf`), join(folder, `paper-${format}`)]);
    console.log("written down, printed on A4 and Letter in two languages, read back");
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  } finally {
    await browser.close();
    if (SHOTS === "") rmSync(folder, { recursive: true });
  }
}

await main();
