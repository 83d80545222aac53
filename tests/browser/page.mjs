// The page in a real headless Chromium, as a person uses it.
//
//   PAGE=https://... SIGN_IN=https://.../sign-in?code=... SHOTS=folder node page.mjs [--negative-control]
//
//   PATIENTS    rows that the worklist must show at least (1)
//   ALERT       seconds to wait for an alert (90); 0: the scenario raises none, acknowledging is left out
//   FORECAST    seconds to wait for a forecast on the patient's page (90); 0: left out
//   CHROMIUM    the browser (/usr/bin/chromium)
//
// Options of the same names (--page, --sign-in ...) win over the environment. Exit 0 if everything held, 1 with
// a sentence about what did not. With --negative-control nobody signs in, and no patient may be seen by any
// way; the one-time code is then tried wrong, and must stay unspent.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { check, ensure, EVERY, Failure, launch, listen, shots, SIZES, SOON, survey, until, VAST } from "./common.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name.toLowerCase().replaceAll("_", "-")}`);
  return at > 0 ? process.argv[at + 1] : (process.env[name] ?? otherwise);
};
const PAGE = option("PAGE", "").replace(/\/+$/, "");
const SIGN_IN = option("SIGN_IN", "");
const SHOTS = option("SHOTS", "");
const PATIENTS = Number(option("PATIENTS", "1"));
const ALERT = Number(option("ALERT", "90")) * 1000;
const FORECAST = Number(option("FORECAST", "90")) * 1000;
const CHROMIUM = option("CHROMIUM", "/usr/bin/chromium");
const NEGATIVE = process.argv.includes("--negative-control");
const COMMENT = '"><script>alert(2)</script> called twice';
const NOTE = 'Called; <img src=x onerror="alert(1)"> is not a picture';

async function signIn(page) {
  await page.goto(SIGN_IN);
  ensure(!page.url().includes("code="), "the code stays in the address bar");
  const kept = await page.evaluate(() => history.length);
  ensure(kept <= 2, "the code stays in the history");
  await survey(page, "sign-in");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/", { timeout: SOON });
}

async function worklist(page) {
  await until(page, `fewer than ${PATIENTS} patients in the worklist`, SOON, (n) => document.querySelectorAll(".row .row-link").length >= n, PATIENTS);
  await page.getByText("Research software, not a medical device").first().waitFor({ timeout: SOON });
  await until(page, "the connection is not live", SOON, () => document.querySelector(".connection.live") !== null);
  const heading = await page.getByRole("heading", { level: 1 }).innerText();
  ensure(heading === "Worklist", `the first page is headed ${JSON.stringify(heading)}`);
}

/** The most urgent patient, reached by keyboard alone. */
async function openFirst(page) {
  const link = page.locator(".row .row-link").first();
  const name = await link.innerText();
  const route = await link.getAttribute("href");
  await link.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name }).waitFor({ timeout: SOON });
  return { name, route };
}

async function liveValues(page) {
  await until(page, "no live value", SOON, () => [...document.querySelectorAll(".tile:not(.stale) .tile-value")].some((e) => /\d/.test(e.textContent)));
  const moment = () => page.evaluate(() => [...document.querySelectorAll(".tile-age")].map((e) => e.title).join());
  const before = await moment();
  await until(page, "live values do not move", SOON, (old) => [...document.querySelectorAll(".tile-age")].map((e) => e.title).join() !== old, before);
}

/** Pixels of a custom property's colour in any chart. */
function drawn(property) {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const read = (canvas) => {
    probe.canvas.width = canvas.width;
    probe.canvas.height = canvas.height;
    probe.drawImage(canvas, 0, 0);
    return probe.getImageData(0, 0, canvas.width, canvas.height).data;
  };
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(property);
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  let pixels = 0;
  for (const canvas of document.querySelectorAll(".trend canvas")) {
    const data = read(canvas);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 20 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 40) pixels += 1;
    }
  }
  return pixels > 60;
}

async function charts(page) {
  await until(page, "no measured line is drawn", SOON, drawn, "--series");
  if (FORECAST > 0) await until(page, "no forecast is drawn", FORECAST, drawn, "--forecast");
  const named = await page.evaluate(() => [...document.querySelectorAll(".chart")].every((e) => e.getAttribute("aria-label")?.length > 20));
  ensure(named, "a chart has no description");
}

/** The strip below a trend: its words say what its bars show, and the shares make a hundred. */
async function coverage(page) {
  await until(page, "no coverage is shown", SOON, () => document.querySelector(".trend .coverage-strip .piece.measured") !== null);
  const told = await page.evaluate(() =>
    [...document.querySelectorAll(".trend .coverage:not([hidden])")].map((e) => ({
      spoken: e.querySelector(".coverage-strip").getAttribute("aria-label"),
      shares: [...e.querySelectorAll(".coverage-key li")].map((li) => (li.textContent.includes("under") ? 0 : Number(/(\d+)\s*%/.exec(li.textContent)[1]))),
    })),
  );
  for (const { spoken, shares } of told) {
    ensure(/^Coverage of the time shown: .*%/.test(spoken), `the coverage is described as ${JSON.stringify(spoken)}`);
    ensure(shares.reduce((sum, share) => sum + share, 0) === 100, `the shares are ${shares}`);
  }
}

/** WCAG 2.3.1: at most three flashes a second; none for those who asked for less motion. */
async function flashing(page) {
  const durations = () =>
    page.evaluate(() => document.getAnimations().filter((a) => a.animationName?.startsWith("flash")).map((a) => a.effect.getTiming().duration));
  const fast = (await durations()).filter((ms) => ms < 334);
  ensure(fast.length === 0, `something flashes every ${fast} ms`);
  await page.emulateMedia({ reducedMotion: "reduce" });
  ensure((await durations()).length === 0, "something flashes although less motion was asked for");
  await page.emulateMedia({ reducedMotion: "no-preference" });
}

/** The dialog that is open: writes into its fields by label, and sends it off with the keyboard. */
async function answer(page, fields, button) {
  const dialog = page.getByRole("dialog");
  for (const [label, words] of Object.entries(fields)) await dialog.getByLabel(label).fill(words);
  await dialog.getByRole("button", { name: button, exact: true }).press("Enter");
  await dialog.waitFor({ state: "hidden", timeout: SOON });
}

/** Comments, takes and acknowledges; every act is seen in another tab. What people write is words, never a page. */
async function care(page, second, { route }) {
  await second.goto(`${PAGE}/${route}`);
  await second.locator(".alert-card.active").first().waitFor({ timeout: SOON });
  const card = page.locator(".alert-card.active").first();
  const summary = await card.locator(".alert-summary").innerText();
  await card.getByRole("button", { name: /^Comment/ }).press("Enter");
  await answer(page, { Comment: COMMENT }, "Save comment");
  await card.getByRole("button", { name: /^Take/ }).press("Enter");
  await card.getByRole("button", { name: /^Acknowledge/ }).press("Enter");
  await answer(page, { "Note (optional)": NOTE }, "Acknowledge");
  for (const [where, tab] of [["here", page], ["in the second tab", second]]) {
    const done = tab.locator(".alert-card.acknowledged", { hasText: summary }).first();
    try {
      await done.getByText(/^Acknowledged by/).waitFor({ timeout: SOON });
      await done.getByText(/owner: browser/).waitFor({ timeout: SOON });
      await done.locator(".comments", { hasText: COMMENT }).waitFor({ timeout: SOON });
    } catch {
      throw new Failure(`what was done about the alert is not seen ${where}`);
    }
    ensure((await done.locator(".acknowledge-note").innerText()) === NOTE, `the note is not shown as it was written ${where}`);
  }
}

/** What people know: written down, shown with what it changes, and refused in the centre's own words. */
async function fact(page) {
  const add = page.getByRole("button", { name: "Write down" });
  await add.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What it is").selectOption({ label: "Oxygen target" });
  await dialog.getByLabel("Words").fill("90");
  await dialog.getByRole("button", { name: "Save", exact: true }).press("Enter");
  await dialog.getByText(/must be 88-92 or 94-98/).waitFor({ timeout: SOON });
  await dialog.getByLabel("Name").fill(NOTE);
  await answer(page, { Words: "88-92" }, "Save");
  const entry = page.locator(".fact-entry", { hasText: NOTE });
  await entry.locator(".fact-effect").first().waitFor({ timeout: SOON });
  await entry.getByRole("button", { name: /^Take back/ }).press("Enter");
  await answer(page, {}, "Take back");
  await entry.waitFor({ state: "detached", timeout: SOON });
}

/** What was known before anything was: less than now. */
async function lookBack(page) {
  await page.getByRole("button", { name: "What did we know then?" }).press("Enter");
  const slider = page.getByLabel("As it was known at");
  await slider.press("Home");
  await page.getByText("No readings in this range").first().waitFor({ timeout: SOON });
  await slider.press("End");
  await until(page, "what is known now is not drawn", SOON, () => [...document.querySelectorAll(".trend .chart")].some((e) => / readings, /.test(e.getAttribute("aria-label") ?? "")));
  await page.getByRole("button", { name: "What did we know then?" }).press("Enter");
  for (const range of ["7 days", "1 year", "1 hour"]) {
    await page.getByRole("radio", { name: range }).check({ force: true });
    await until(page, `nothing is drawn of ${range}`, SOON, () => [...document.querySelectorAll(".trend .chart")].some((e) => / readings, /.test(e.getAttribute("aria-label") ?? "")));
  }
}

async function positive(browser) {
  const complaints = [];
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0], colorScheme: "light" });
  await listen(context, complaints);
  const page = await context.newPage();
  await signIn(page);
  await worklist(page);
  if (ALERT > 0) {
    await until(page, "no alert came", ALERT, () => document.querySelector(".row.active") !== null);
    await flashing(page);
  }
  await survey(page, "worklist", [...EVERY, ...VAST]);
  const patient = await openFirst(page);
  await liveValues(page);
  await charts(page);
  await coverage(page);
  const second = await context.newPage();
  if (ALERT > 0) await care(page, second, patient);
  await fact(page);
  await lookBack(page);
  await survey(page, "patient", [...EVERY, ...VAST]);
  await page.getByRole("link", { name: "Alerts", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Alerts" }).waitFor({ timeout: SOON });
  await survey(page, "alerts");
  await check(page, "first tab", complaints);
  await check(second, "second tab", complaints);
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  const pseudonym = decodeURIComponent(patient.route.split("/").pop());
  ensure(![patient.name, pseudonym].some((words) => stored.includes(words)), "the browser's storage names a patient");
  await context.close();
  await spent(browser);
  return `signed in, ${PATIENTS} or more patients, live values, charts${ALERT > 0 ? ", acknowledged in both tabs" : ""}, no complaint`;
}

/** The link works once. */
async function spent(browser) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(SIGN_IN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor({ timeout: SOON });
  await nothingSeen(context, page, "with a spent link");
  await context.close();
}

/** No patient by the page, by the session, or by the contract. */
async function nothingSeen(context, page, when) {
  await page.goto(`${PAGE}/`);
  await page.getByRole("heading", { level: 1, name: "You are not signed in" }).waitFor({ timeout: SOON });
  ensure((await page.locator(".row, .tile, .alert-card").count()) === 0, `${when}: a patient is on screen`);
  const session = await context.request.get(`${PAGE}/session`);
  ensure(session.status() === 401, `${when}: /session answers ${session.status()}`);
  for (const call of ["TwinService/Watch", "TwinService/List", "AlertService/Watch", "AlertService/List", "HistoryService/Query", "HistoryService/Coverage", "HistoryService/Waveforms", "ContextService/Get"]) {
    // An empty request in gRPC-web: one frame of no bytes.
    const answer = await page.evaluate(async (path) => {
      const response = await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
        body: new Uint8Array(5),
        signal: AbortSignal.timeout(10_000),
      });
      const body = new Uint8Array(await response.arrayBuffer());
      // Frames: a data frame has a clear highest bit.
      return { status: response.status, grpc: response.headers.get("grpc-status"), data: body.length > 0 && body[0] < 128, text: new TextDecoder().decode(body) };
    }, `/vitaltwin.v1.${call}`);
    ensure(!answer.data, `${when}: ${call} answers with data`);
    const refused = answer.status === 401 || answer.status === 403 || ["7", "16"].includes(answer.grpc ?? "") || /grpc-status: ?(7|16)/i.test(answer.text);
    ensure(refused, `${when}: ${call} is not refused: ${JSON.stringify(answer)}`);
  }
}

async function negative(browser) {
  const complaints = [];
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0] });
  await listen(context, complaints);
  const page = await context.newPage();
  await nothingSeen(context, page, "without signing in");
  await survey(page, "signed-out");
  // Only looking at the link spends nothing; a wrong code opens nothing.
  await page.goto(SIGN_IN);
  await page.goto(`${PAGE}/sign-in?code=${"A".repeat(43)}`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor({ timeout: SOON });
  await nothingSeen(context, page, "with a wrong code");
  // A refused session is an error in the console by itself; anything else is not expected.
  await check(page, "signed out", complaints.filter((words) => !/\b401\b/.test(words)));
  await context.close();
  return "not signed in: no patient by page, session or contract";
}

async function main() {
  ensure(PAGE !== "" && SIGN_IN !== "", "PAGE and SIGN_IN must be given");
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  const browser = await launch(CHROMIUM);
  try {
    console.log(await (NEGATIVE ? negative(browser) : positive(browser)));
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [n, page] of pages.entries()) {
      if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, `failed-${n + 1}.png`) }).catch(() => {});
      console.error(`tab ${n + 1}, ${page.url().replace(/code=.*/, "code=...")}:\n${await page.innerText("body").catch(() => "")}\n`);
    }
    throw error;
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error instanceof Failure ? `failed: ${error.message}` : error);
  process.exit(1);
});
