// Who is on duty, at the page and before the real centre: a nurse takes over by keyboard, in English and in German; a supervisor
// edits the roster, is refused, mends it, and it is in force.
//
//   NURSE=https://.../sign-in?code=... SUPERVISOR=https://... node roster.mjs
//
//   CHROMIUM    the browser (/usr/bin/chromium)
//
// Exit 0 if everything held, 1 with a sentence about what did not.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { nothingRan, SHORT, watchFields, wereFilled } from "./hostile.mjs";
import { check, ensure, Failure, launch, listen, shots, SIZES, SOON, survey } from "./common.mjs";

const { NURSE = "", SUPERVISOR = "", SHOTS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;
const BOTH = [
  [SIZES[0], "light"],
  [SIZES[1], "dark"],
];
const complaints = [];
const filled = new Set();

async function enter(browser, link, locale, button) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0], colorScheme: "light", locale });
  await watchFields(context, filled);
  await listen(context, complaints);
  const page = await context.newPage();
  await page.goto(link);
  await page.getByRole("button", { name: button, exact: true }).click();
  return page;
}

async function main() {
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  const browser = await launch(CHROMIUM);
  let page = await enter(browser, NURSE, "de-DE", "Anmelden");
  const says = (words) => page.getByText(words).first().waitFor({ timeout: SOON });
  try {
    // Her shift waits, wherever she is.
    await page.getByRole("link", { name: "Übergabe (1)", exact: true }).press("Enter");
    await says(/Ihre Schicht wartet darauf, dass Sie von Ann übernehmen\./);
    await survey(page, "handover-due", BOTH);
    await page.getByRole("button", { name: "Ich habe übernommen: Pflege, Home", exact: true }).press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByText("Es gehen: Ann.").waitFor({ timeout: SOON });
    await dialog.getByText("Es kommen: Nina. Übernommen von Nina.").waitFor({ timeout: SOON });
    await survey(page, "handover-take", BOTH);
    await dialog.getByRole("button", { name: "Ich habe übernommen", exact: true }).press("Enter");
    await dialog.waitFor({ state: "hidden", timeout: SOON });
    await says(/^von Nina, /);
    await page.getByRole("link", { name: "Übergabe", exact: true }).waitFor({ timeout: SOON });
    await survey(page, "handover-taken", BOTH);
    // She sees the roster, and does not edit it.
    await page.getByRole("link", { name: "Dienstplan", exact: true }).press("Enter");
    await page.getByRole("heading", { name: "Home", exact: true }).waitFor({ timeout: SOON });
    ensure((await page.getByText("Bearbeiten", { exact: true }).count()) === 0, "a nurse may edit the roster");
    await check(page, "nurse", complaints);
    await page.context().close();

    page = await enter(browser, SUPERVISOR, "en-GB", "Sign in");
    await page.getByRole("link", { name: "Roster", exact: true }).press("Enter");
    await says("Nobody on duty in the next two weeks");
    await page.getByText("Edit", { exact: true }).press("Enter");
    const document = page.getByLabel("Roster of Home (TOML)", { exact: true });
    const press = (name) => page.getByRole("button", { name, exact: true }).press("Enter");
    const before = await document.inputValue();
    await document.fill(before.replace("people = []", `people = ["${SHORT}"]`));
    await press("Check");
    await says(SHORT);
    await document.fill(before.replace("people = []", 'people = ["Dee", "Dee"]').replace('"UTC"', '"Mars/Olympus"'));
    await press("Check");
    await says(/time_zone: must be a name/);
    await says(/people\[1\]: is named twice/);
    await survey(page, "roster-refused", BOTH);
    await document.fill(before.replace("people = []", 'people = ["Sue", "Dee"]'));
    await press("Check");
    await says(/somebody is on duty at every moment/);
    await says(/Dee: does not belong to this team/);
    await press("Put into force");
    await says("It is in force.");
    await page.getByRole("cell", { name: /^Sue, Dee \(cannot be called\)/ }).first().waitFor({ timeout: SOON });
    await survey(page, "roster", BOTH);
    // Refused calls are errors in the console by themselves.
    await nothingRan(page);
    wereFilled("roster.mjs", filled);
    await check(page, "supervisor", complaints.filter((words) => !/\b(400|401|403|409)\b/.test(words)));
    console.log("a shift was taken over and a roster mended at the page");
  } catch (error) {
    if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, "roster-failed.png") }).catch(() => {});
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
