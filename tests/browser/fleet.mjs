// Who runs the centre at the page, by keyboard, before the real centre: a gateway is enrolled by the token that the page showed
// (read from its QR code), given a patient's devices, sent settings that it keeps and refuses, and revoked; a supervisor looks; a
// patient is led to their own page and withdraws.
//
//   PAGE=https://... SIGN_IN=link SUPERVISOR=link PATIENT=p-... DEVICES="address address" node fleet.mjs
//   node fleet.mjs --thousand     the page before a made-up centre: a thousand gateways, hostile names, a centre that is away
//
// Says on standard output what somebody else has to do now ("enrol TOKEN", "revoked"), and goes on after a line on standard input.
// SHOTS: folder for screenshots; CHROMIUM: the browser. Exit 0 if everything held, 1 with a sentence about what did not.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ALL, CORPUS, NAME, nothingRan, watchFields, wereFilled } from "./hostile.mjs";
import { check, ensure, Failure, launch, listen, scan, shots, SIZES, SOON, survey, until } from "./common.mjs";

const { SIGN_IN = "", SUPERVISOR = "", PATIENT = "", DEVICES = "", SHOTS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;
const HOSTILE = `${NAME}"><b>x</b>`;
const LABEL = `${HOSTILE} living room`;
const BOTH = [
  [SIZES[0], "light"],
  [SIZES[1], "dark"],
];
const complaints = [];
const filled = new Set();
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function open(browser, locale = "en-GB") {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0], colorScheme: "light", locale });
  await watchFields(context, filled);
  await listen(context, complaints);
  return context.newPage();
}

const press = (page, name) => page.getByRole("button", { name, exact: true }).press("Enter");
const dialog = (page) => page.getByRole("dialog");
const says = (page, words) => page.getByText(words).first().waitFor({ timeout: SOON });
const closed = (page) => dialog(page).waitFor({ state: "hidden", timeout: SOON });
const confirm = (page, name) => dialog(page).getByRole("button", { name, exact: true }).press("Enter");

async function handOver(words) {
  console.log(words);
  const { done } = await input.next();
  ensure(!done, "nobody answers");
}

/** What the contract says to this browser's cookie: the gRPC status. */
function ask(page, method) {
  return page.evaluate(async (path) => {
    const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };
    const response = await fetch(`/vitaltwin.v1.${path}`, { method: "POST", headers, body: new Uint8Array(5), signal: AbortSignal.timeout(10_000) });
    const text = new TextDecoder().decode(await response.arrayBuffer());
    return response.headers.get("grpc-status") ?? /grpc-status: ?(\d+)/i.exec(text)?.[1] ?? "";
  }, method);
}

async function signIn(page, link) {
  await page.goto(link);
  await page.locator("form button").first().press("Enter");
  await page.waitForURL((url) => url.pathname === "/", { timeout: SOON });
}

/** What was shown once is nowhere in the document any more. */
async function leavesNoTrace(page, secret, what) {
  await page.keyboard.press("Escape");
  await closed(page);
  await until(page, `${what} stays in the document`, SOON, (secret) => !document.documentElement.outerHTML.includes(secret), secret);
}

async function story(browser) {
  const page = await open(browser);
  await signIn(page, SIGN_IN);
  await page.getByRole("heading", { level: 1, name: "Fleet" }).waitFor({ timeout: SOON });
  await says(page, "There is no gateway yet.");
  ensure(!(await page.getByRole("link", { name: "Worklist", exact: true }).isVisible()), "who runs the centre has a worklist");
  for (const method of ["TwinService/List", "AlertService/List", "HistoryService/Query"]) {
    ensure((await ask(page, method)) === "7", `who runs the centre may call ${method}`);
  }
  await survey(page, "fleet-empty", BOTH);

  await press(page, "Enrol a gateway");
  await dialog(page).getByLabel("Name", { exact: true }).fill(LABEL);
  await dialog(page).getByLabel("The token holds for").selectOption({ label: "15 minutes" });
  await confirm(page, "Enrol a gateway");
  const command = await dialog(page).locator("code.once").innerText({ timeout: SOON });
  const token = command.split(" ").at(-1);
  ensure(/^vt1\./.test(token), `no token is shown: ${command}`);
  const scanned = await scan(page);
  ensure(scanned === token, `the QR code says ${scanned}`);
  await survey(page, "fleet-token", BOTH);
  await leavesNoTrace(page, token, "the token");
  const row = page.locator(".gateway").first();
  await row.getByText("Waits to be enrolled").waitFor({ timeout: SOON });
  await handOver(`enrol ${scanned}`);

  await row.getByText("Nothing is assigned").first().waitFor({ timeout: SOON });
  await row.locator("summary").press("Enter");
  const id = await row.getAttribute("data-gateway");
  const act = (name) => row.getByRole("button", { name: new RegExp(`^${name}`) }).press("Enter");
  await act("Assign devices");
  await dialog(page).getByLabel("Patient").selectOption(PATIENT);
  await dialog(page).getByLabel("Bluetooth addresses").fill("not an address");
  await confirm(page, "Assign devices");
  await dialog(page).getByText(/^Not done: .*AA:BB:CC:DD:EE:FF/).waitFor({ timeout: SOON });
  await dialog(page).getByLabel("Bluetooth addresses").fill(DEVICES.split(" ").join("\n"));
  await confirm(page, "Assign devices");
  await closed(page);
  for (const address of DEVICES.split(" ")) {
    const device = row.locator(`[data-device="${address}"]`);
    await device.getByText(/Connected/).waitFor({ timeout: 3 * SOON });
    await device.getByText(/Battery \d+ %/).waitFor({ timeout: 2 * SOON });
    await device.getByText(/receipt \d+s ago/).waitFor({ timeout: SOON });
  }
  await until(page, "no receipt is shown", SOON, () => /\d+s ago/.test(document.querySelector(".gateway-body").innerText));
  // Its doctor comes ten seconds after the start.
  await until(page, "its doctor does not report", 2 * SOON, () => !/has not reported/.test(document.querySelector(".gateway-doctor").innerText));

  const found = await row.locator(".gateway-doctor").innerText();
  ensure(!/could not be asked/.test(found), `its doctor tells of what it was not to look at: ${found}`);

  const settings = async (text) => {
    await act("Settings");
    await dialog(page).getByLabel("Settings (TOML)").fill(text);
    await confirm(page, "Send");
    await closed(page);
  };
  const fact = row.locator(".fact", { hasText: "Settings" }).first();
  await settings("heartbeat_s = 20");
  await fact.getByText(/^no\. \d+ in force$/).waitFor({ timeout: 2 * SOON });
  await settings("heartbeat_s = 1");
  await fact.getByText(/refused.*5 to 3600/).waitFor({ timeout: 2 * SOON });
  await row.getByText("Settings were not kept").first().waitFor({ timeout: SOON });
  await survey(page, "fleet-refused", BOTH);
  await row.locator("summary").scrollIntoViewIfNeeded();
  await row.getByRole("button", { name: /^Send these again/ }).last().press("Enter");
  ensure((await dialog(page).getByLabel("Settings (TOML)").inputValue()) === "heartbeat_s = 20", "the former settings are not offered");
  await confirm(page, "Send");
  await closed(page);
  await fact.getByText(/^no\. \d+ in force$/).waitFor({ timeout: 2 * SOON });

  await looking(browser, id);
  await ownPage(browser, page);

  await act("Revoke");
  await dialog(page).getByLabel(/^Type the gateway's id/).fill("g-another");
  await confirm(page, "Revoke");
  await dialog(page).getByText("Not done: That is not its id.").waitFor({ timeout: SOON });
  await survey(page, "fleet-revoke", BOTH);
  await dialog(page).getByLabel(/^Type the gateway's id/).fill(id);
  await confirm(page, "Revoke");
  await closed(page);
  await handOver(`revoked ${id}`);
  await row.getByText("Revoked", { exact: true }).first().waitFor({ timeout: SOON });
  await row.locator('[data-act="revoked"]').getByText(/Adam/).waitFor({ timeout: SOON });
  await survey(page, "fleet-revoked", BOTH);
  await page.locator(".connection summary").press("Enter");
  await survey(page, "fleet-menu", [BOTH[0]]);
  await nothingRan(page);
}

/** A supervisor, in German: sees it, and may change nothing. */
async function looking(browser, id) {
  const page = await open(browser, "de-DE");
  await signIn(page, SUPERVISOR);
  await page.getByRole("link", { name: "Flotte", exact: true }).press("Enter");
  const row = page.locator(`[data-gateway="${id}"]`);
  await row.locator("summary").press("Enter");
  await row.getByText(/^Verbunden/).first().waitFor({ timeout: SOON });
  ensure(!(await page.getByRole("button", { name: "Gateway anmelden" }).isVisible()), "a supervisor is offered to enrol");
  ensure(!(await row.getByRole("button", { name: /^Sperren/ }).isVisible()), "a supervisor is offered to revoke");
  for (const method of ["OperatorService/CreateToken", "OperatorService/RevokeGateway", "OperatorService/ConfigureGateway", "OperatorService/Assign"]) {
    ensure((await ask(page, method)) === "7", `a supervisor may call ${method}`);
  }
  await survey(page, "fleet-supervisor", BOTH);
  await page.context().close();
}

/** The patient is led to their own page, and withdraws. */
async function ownPage(browser, page) {
  await press(page, "Link to a patient's page");
  await dialog(page).getByLabel("Patient").selectOption(PATIENT);
  await confirm(page, "Link to a patient's page");
  await dialog(page).locator("code.once").waitFor({ timeout: SOON });
  const link = await scan(page);
  ensure(link === (await dialog(page).locator("code.once").innerText()), "the QR code and the link differ");
  // Read out on the telephone, and typed as one types.
  const code = await dialog(page).locator(".spoken-link strong").innerText();
  ensure(new URL(link).searchParams.get("code") === code.toLowerCase(), "what is read out is not the link's code");
  await survey(page, "fleet-page-link", BOTH);
  await leavesNoTrace(page, link, "the link");
  ensure(!(await page.content()).includes(code), "the code stays in the document");
  const own = await open(browser);
  await own.goto(new URL("/sign-in", link).href);
  await own.getByLabel("One-time link or code").fill(code.replaceAll("-", " "));
  await own.getByLabel("One-time link or code").press("Enter");
  await own.waitForURL((url) => url.pathname === "/", { timeout: SOON });
  await own.getByRole("heading", { level: 1, name: "My health today" }).waitFor({ timeout: SOON });
  await press(own, "Withdraw my consent");
  await confirm(own, "Withdraw my consent");
  ensure(await dialog(own).isVisible(), "it was withdrawn without a word of the patient");
  await survey(own, "home-withdraw", BOTH);
  await dialog(own).getByLabel("I know that nobody watches from now on").press("Space");
  await confirm(own, "Withdraw my consent");
  await closed(own);
  await own.getByText(/^You have withdrawn your consent on/).waitFor({ timeout: SOON });
  ensure(!(await own.getByRole("button", { name: "Share again" }).isVisible()), "what was withdrawn is offered like a pause");
  await survey(own, "home-withdrawn", BOTH);
  await own.context().close();
}

/** Hostile texts in each field of what is done with gateways; this centre does nothing of it, and says so. */
async function words(page) {
  const row = page.locator(".gateway").first();
  const fill = async (open, label, text, button) => {
    await open();
    await dialog(page).getByLabel(label, { exact: true }).fill(text);
    await confirm(page, button);
    await dialog(page).getByRole("alert").filter({ hasText: "Not done" }).waitFor({ timeout: SOON });
    await page.keyboard.press("Escape");
    await closed(page);
  };
  const act = (name) => () => row.getByRole("button", { name: new RegExp(`^${name}`) }).press("Enter");
  await fill(() => press(page, "Enrol a gateway"), "Name", LABEL, "Enrol a gateway");
  await fill(act("Assign devices"), "Bluetooth addresses", CORPUS.join("\n"), "Assign devices");
  await fill(act("Settings"), "Settings (TOML)", ALL, "Send");
  await fill(act("Revoke"), "Type the gateway's id to go on", ALL, "Revoke");
}

/** A thousand gateways, hostile names, and a centre that is away. */
async function thousand(browser) {
  const { startCentre } = await import("./centre.mjs");
  const centre = await startCentre({ patients: 2, share: 0, gateways: 1000, hostile: HOSTILE });
  centre.as("administrator");
  try {
    const page = await open(browser);
    await page.goto(`${centre.url}/#/fleet`);
    await until(page, "not all gateways came", 2 * SOON, () => document.querySelectorAll(".gateway").length === 1000);
    const measure = () =>
      page.evaluate(async () => {
        const frames = [];
        let before = performance.now();
        const end = before + 3000;
        while (before < end) {
          const now = await new Promise((done) => requestAnimationFrame(done));
          frames.push(now - before);
          before = now;
          scrollBy(0, 160);
        }
        frames.sort((a, b) => a - b);
        return { median: frames[Math.floor(frames.length / 2)], most: frames.at(-1) };
      });
    const { median, most } = await measure();
    console.log(`1000 gateways, scrolling: median ${median.toFixed(0)} ms a frame, longest ${most.toFixed(0)} ms`);
    ensure(median < 100, `a frame takes ${median} ms`);
    await page.evaluate(() => scrollTo(0, 0));
    await page.getByLabel("Find", { exact: true }).fill("g-000003");
    await until(page, "nothing is found", SOON, () => document.querySelectorAll(".gateway").length === 1);
    await page.locator(".gateway summary").press("Enter");
    await page.getByText("Battery low").first().waitFor({ timeout: SOON });
    await survey(page, "fleet-thousand", BOTH);
    await words(page);
    await page.getByLabel("Find", { exact: true }).fill(ALL);
    await until(page, "a hostile search finds something", SOON, () => document.querySelectorAll(".gateway").length === 0);
    await page.getByLabel("Find", { exact: true }).fill("");
    await page.getByLabel("Only those that need a hand").press("Space");
    await until(page, "those that need a hand are not told apart", SOON, () => /^14\d of 1000 gateways/.test(document.querySelector(".fleet-page [role=status].muted").innerText));
    centre.hush(true);
    await page.getByText(/may no longer be so: the centre is away/).waitFor({ timeout: 120_000 });
    await survey(page, "fleet-stale", [BOTH[0]]);
    wereFilled("fleet.mjs --thousand", filled);
    await nothingRan(page);
  } finally {
    centre.stop();
  }
}

async function main() {
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  const browser = await launch(CHROMIUM);
  try {
    if (process.argv.includes("--thousand")) await thousand(browser);
    else await story(browser);
    const [context] = browser.contexts();
    // Refused calls are errors in the console by themselves.
    await check(context.pages()[0], "fleet", complaints.filter((words) => !/\b(400|401|403|404|409|503)\b/.test(words)));
    console.log("done");
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [n, page] of pages.entries()) {
      if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, `fleet-failed-${n + 1}.png`) }).catch(() => {});
      console.error(`tab ${n + 1}, ${page.url().replace(/code=.*/, "code=...")}:\n${await page.innerText("body").catch(() => "")}\n`);
    }
    for (const words of complaints) console.error(words);
    throw error;
  } finally {
    await browser.close();
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error instanceof Failure ? `failed: ${error.message}` : error);
    process.exit(1);
  },
);
