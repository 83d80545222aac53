// A supervisor at the page, before the real centre: rules are edited, tried over what was recorded, refused, mended, put into
// force, and taken back.
//
//   SIGN_IN=https://.../sign-in?code=... node rules.mjs
//
//   CHROMIUM    the browser (/usr/bin/chromium)
//
// Exit 0 if everything held, 1 with a sentence about what did not.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ALL, NAME, nothingRan, watchFields, wereFilled } from "./hostile.mjs";
import { check, ensure, Failure, launch, listen, shots, SIZES, SOON, survey } from "./common.mjs";

const { SIGN_IN = "", SHOTS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;
const REASON = `${NAME} slow hearts here`;
const filled = new Set();
const BOTH = [
  [SIZES[0], "light"],
  [SIZES[1], "dark"],
];
const complaints = [];

async function main() {
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  const browser = await launch(CHROMIUM);
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0], colorScheme: "light", locale: "en-GB" });
  await watchFields(context, filled);
  await listen(context, complaints);
  const page = await context.newPage();
  const document = page.getByLabel("Rules (TOML)", { exact: true });
  const press = (name) => page.getByRole("button", { name, exact: true }).press("Enter");
  const dialog = page.getByRole("dialog");
  const says = (words) => page.getByText(words).first().waitFor({ timeout: SOON });
  try {
    await page.goto(SIGN_IN);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByRole("link", { name: "Rules", exact: true }).press("Enter");
    await says(/^In force: [0-9a-f]{12}/);
    const before = await document.inputValue();
    const first = '{ cut = 40.0, hold_s = 30, priority = "medium" }';
    ensure(before.includes(first), `the document in force is not there: ${before.slice(0, 80)}`);
    const edit = (cut) => document.fill(before.replace(first, first.replace("40.0", cut)));

    // What is no document is said to be none, in its own words.
    await document.fill(ALL);
    await press("Check");
    await page.getByRole("alert").or(page.locator(".notice.bad")).filter({ hasText: "<script>" }).first().waitFor({ timeout: SOON });
    await edit("19.0");
    await press("Check");
    await says(/heart_rate_low\.levels\[0\]\.cut/);
    await edit("50.0");
    await press("Check");
    await says(/^Nothing is wrong with it\. It would be [0-9a-f]{12}\.$/);
    await press("Try over recorded days");
    await says("It may not be put into force:");
    await says(/above the budget/);
    await survey(page, "rules-refused", BOTH);
    const force = async (reason, button) => {
      await dialog.getByLabel("Why", { exact: true }).fill(reason);
      await dialog.getByRole("button", { name: button, exact: true }).press("Enter");
    };
    await press("Put into force");
    await force("all the same", "Put into force");
    await dialog.getByText(/^Not done: .*above the budget/).waitFor({ timeout: SOON });
    await page.keyboard.press("Escape");

    await edit("43.0");
    await press("Try over recorded days");
    await says("Tried: nothing stands against it.");
    await press("Put into force");
    await force(REASON, "Put into force");
    await dialog.waitFor({ state: "hidden", timeout: SOON });
    await page.getByRole("listitem").filter({ hasText: "slow hearts here" }).first().waitFor({ timeout: SOON });
    ensure((await document.inputValue()).includes("cut = 43.0"), "the new document is not shown");
    await survey(page, "rules-in-force", BOTH);
    await press("Former rules");
    await force("enough", "Former rules");
    await dialog.waitFor({ state: "hidden", timeout: SOON });
    ensure((await document.inputValue()).includes("cut = 40.0"), "the former rules are not shown");

    // How good the models have been: of all, and of one.
    const board = async (name) => {
      await page.locator("details.scoreboard > summary").press("Enter");
      await page.getByRole("region", { name: "Alerts that foretell", exact: true }).waitFor({ timeout: SOON });
      await page.getByRole("region", { name: /^Heart rate \(damped-trend-aci/ }).waitFor({ timeout: SOON });
      await says(/× less than three minutes of data/);
      await says(/nobody tells this twin who fell ill/);
      await survey(page, name, BOTH);
    };
    await board("scoreboard-all");
    await says(/summed up over all patients\. \d+ patients?\.$/);
    await page.getByRole("link", { name: "Worklist", exact: true }).press("Enter");
    await page.locator('a[href^="#/patient/"]').first().press("Enter");
    await page.locator("details.scoreboard").waitFor({ timeout: SOON });
    await board("scoreboard-patient");

    await nothingRan(page);
    wereFilled("rules.mjs", filled);
    // Refused calls are errors in the console by themselves.
    await check(page, "rules", complaints.filter((words) => !/\b(400|401|403|409)\b/.test(words)));
    console.log("rules were refused, mended, put into force and taken back at the page");
  } catch (error) {
    if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, "rules-failed.png") }).catch(() => {});
    console.error(await page.innerText("body").catch(() => ""));
    for (const words of complaints) console.error(words);
    throw error;
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error instanceof Failure ? `failed: ${error.message}` : error);
  process.exit(1);
});
