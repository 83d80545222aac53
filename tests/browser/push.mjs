// Messages to a browser, in a real Chromium before the real centre: switched on at the page, sent by the centre to a push service
// (another maker's library opens it there), shown by the worker, confirmed, and off again.
//
// Chromium's own push service is not to be reached from here: subscribing gives the address and keys of ours, and what arrived
// there is handed to the worker as that service would (DevTools' `deliverPushMessage`).
//
//   PAGE=https://localhost:... SIGN_IN=https://... ENDPOINT=https://localhost:.../push/1 P256DH=... AUTH=... MESSAGES=FILE node push.mjs
//
// Exit 0 if everything held, 1 with a sentence about what did not.

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { check, ensure, Failure, launch, listen, shots, SIZES, SOON, survey, until } from "./common.mjs";

const { PAGE = "", SIGN_IN = "", ENDPOINT = "", P256DH = "", AUTH = "", MESSAGES = "", SHOTS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;
const BOTH = [
  [SIZES[0], "light"],
  [SIZES[1], "dark"],
];
const complaints = [];

/** What the push service took. */
const arrived = () => (existsSync(MESSAGES) ? readFileSync(MESSAGES, "utf8").trim().split("\n").map((line) => JSON.parse(line)) : []).filter((of) => of.way === "push");

async function next(count) {
  for (let waited = 0; waited < 150; waited += 1) {
    if (arrived().length > count) return arrived().at(-1);
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Failure("nothing arrives at the push service");
}

/** Subscribing as it would be with a push service that can be reached. */
function standIn([endpoint, p256dh, auth]) {
  const made = (options) => ({
    endpoint,
    options: { applicationServerKey: options.applicationServerKey.buffer ?? options.applicationServerKey },
    toJSON: () => ({ endpoint, keys: { p256dh, auth } }),
    unsubscribe: async () => {
      window.subscription = null;
      sessionStorage.removeItem("on");
      return true;
    },
  });
  PushManager.prototype.subscribe = async (options) => {
    if (!options.userVisibleOnly || options.applicationServerKey.length !== 65) throw new Error("not as a browser wants it");
    sessionStorage.setItem("on", "1");
    window.subscription = made(options);
    return window.subscription;
  };
  PushManager.prototype.getSubscription = async () => window.subscription ?? (sessionStorage.getItem("on") ? made({ applicationServerKey: new Uint8Array(65) }) : null);
}

const dialog = (page) => page.getByRole("dialog");

async function account(page) {
  await page.locator(".connection summary").press("Enter");
  await page.getByRole("button", { name: "My sign-ins and passkeys", exact: true }).press("Enter");
  await dialog(page).getByRole("heading", { name: "Messages when you are called" }).waitFor({ timeout: SOON });
}

async function main() {
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  // A worker is fetched under no exception of a page's.
  const browser = await launch(CHROMIUM, ["--ignore-certificate-errors"]);
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0], colorScheme: "light", locale: "en-GB" });
    await context.grantPermissions(["notifications"], { origin: PAGE });
    await context.addInitScript(standIn, [ENDPOINT, P256DH, AUTH]);
    await listen(context, complaints);
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    let registration = "";
    devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => (registration = registrations[0]?.registrationId ?? registration));
    await devtools.send("ServiceWorker.enable");
    await page.goto(SIGN_IN);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await until(page, "the worklist does not come", SOON, () => document.querySelectorAll(".row .row-link").length > 0);
    const name = await page.locator(".row .row-link").first().innerText();

    await account(page);
    await survey(page, "messages-off", BOTH);
    await dialog(page).getByRole("button", { name: "Switch on in this browser" }).press("Enter");
    await dialog(page).getByRole("button", { name: /^Switch off in this browser/ }).waitFor({ timeout: SOON });
    await survey(page, "messages-on", BOTH);
    ensure(registration !== "", "there is no worker");

    const before = arrived().length;
    await dialog(page).getByRole("button", { name: "Send a test" }).press("Enter");
    const { message, claims, key, headers } = await next(before);
    ensure(claims.sub === "mailto:olga@example.org" && key.length === 87, `the sender: ${JSON.stringify(claims)}`);
    ensure(Number(headers.TTL ?? headers.ttl) > 0, `headers: ${JSON.stringify(headers)}`);
    const deliver = (what) => devtools.send("ServiceWorker.deliverPushMessage", { origin: PAGE, registrationId: registration, data: JSON.stringify(what) });
    await deliver(message);
    await dialog(page).getByText("A device of yours showed it.").waitFor({ timeout: SOON });
    await survey(page, "messages-tested", BOTH);

    // As it is when somebody is called, in both languages.
    const shown = () => page.evaluate(async () => (await (await navigator.serviceWorker.getRegistration()).getNotifications()).map((of) => `${of.tag}: ${of.title} | ${of.body}`));
    const call = { ...message, priority: "high", duty: "nurse", test_data: true, word: "unknown" };
    // DevTools stand in for a push service; on a busy machine a second message was seen to get lost, so each is given until it is shown.
    let told = [];
    for (const what of [{ ...call, tag: "1.1" }, { ...call, tag: "1.2", language: "de" }]) {
      const patience = Date.now() + SOON;
      const isShown = () => told.some((one) => one.startsWith(`${what.tag}: `));
      for (let turn = 0; !isShown() && Date.now() < patience; turn += 1) {
        if (turn % 20 === 0) await deliver(what);
        await page.waitForTimeout(100);
        told = await shown();
      }
      ensure(isShown(), `the call ${what.tag} is not shown: ${told.join("\n")}`);
    }
    const all = told.join("\n");
    ensure(/1\.1: An alert of high priority waits for the nurse \| Test data · Since \d\d:\d\d\./.test(all), all);
    ensure(/1\.2: Ein Alarm hoher Priorität wartet auf die Pflege \| Testdaten · Seit \d\d:\d\d\./.test(all), all);
    ensure(!all.includes(name), `a lock screen names a patient: ${all}`);
    console.log(all);

    await page.keyboard.press("Escape");
    await check(page, "messages", complaints);
    console.log("switched on, sent, opened at the push service, shown, confirmed");
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [n, page] of pages.entries()) {
      if (SHOTS !== "") await page.screenshot({ path: `${SHOTS}/push-failed-${n + 1}.png` }).catch(() => {});
      console.error(`tab ${n + 1}, ${page.url().replace(/code=.*/, "code=...")}:\n${await page.innerText("body").catch(() => "")}\n`);
    }
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
