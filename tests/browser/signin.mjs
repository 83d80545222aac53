// Signing in, in a real headless Chromium with a virtual authenticator, before the real centre: a nurse of one team makes
// a passkey, locks the screen, opens it again, and ends a session elsewhere; a copied passkey is refused; a password with an
// app's codes signs in, too.
//
//   PAGE=https://localhost:... SIGN_IN=https://.../sign-in?code=... OTHER=p-... PATIENT_LINK=https://... DOCTOR=https://... node signin.mjs
//
//   OTHER       a patient of no team of hers
//   PATIENT_LINK  a link to the own page of her patient
//   DOCTOR      a link for the doctor of her team
//   CHROMIUM    the browser (/usr/bin/chromium)
//
// Exit 0 if everything held, 1 with a sentence about what did not.

import { createHmac } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { NAME, nothingRan, SHORT, watchFields, wereFilled } from "./hostile.mjs";
import { check, ensure, Failure, launch, listen, shots, SIZES, SOON, survey, until } from "./common.mjs";

const { PAGE = "", SIGN_IN = "", OTHER = "", PATIENT_LINK = "", DOCTOR = "", SHOTS = "", CHROMIUM = "/usr/bin/chromium" } = process.env;
const LABEL = `${NAME} my phone`;
const filled = new Set();
const BOTH = [
  [SIZES[0], "light"],
  [SIZES[1], "dark"],
];

const complaints = [];

async function open(browser) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: SIZES[0], colorScheme: "light", locale: "en-GB" });
  await watchFields(context, filled);
  await listen(context, complaints);
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return { page, devtools, authenticatorId };
}

const passkeyButton = (page) => page.getByRole("button", { name: "Sign in with a passkey" });
const atWork = (page) => until(page, "the worklist does not come", SOON, () => document.querySelectorAll(".row .row-link").length > 0);
const dialog = (page) => page.getByRole("dialog");

async function fromMenu(page, label) {
  await page.locator(".connection summary").press("Enter");
  await page.getByRole("button", { name: label, exact: true }).press("Enter");
}

/** What the contract says to this browser's cookie: the gRPC status, and whether there were data. */
function ask(page, method, bytes) {
  return page.evaluate(
    async ([path, body]) => {
      const frame = new Uint8Array([0, 0, 0, 0, body.length, ...body]);
      const response = await fetch(`/vitaltwin.v1.${path}`, { method: "POST", headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" }, body: frame, signal: AbortSignal.timeout(10_000) });
      const text = new TextDecoder().decode(await response.arrayBuffer());
      return { status: response.headers.get("grpc-status") ?? /grpc-status: ?(\d+)/i.exec(text)?.[1] ?? "", text };
    },
    [method, [...bytes]],
  );
}

/** A message whose first field is this text. */
const named = (text) => [10, text.length, ...new TextEncoder().encode(text)];

/** The code of an authenticator app (RFC 6238), `later` steps after this one. */
function appCode(secret, later = 0) {
  const bits = [...secret.replaceAll(" ", "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((octet) => Number.parseInt(octet, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const hash = createHmac("sha1", key).update(step).digest();
  const at = hash[19] & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

async function unfold(page) {
  const summary = page.locator("summary", { hasText: "With password and code" });
  // It is there once it is known that passwords open something here.
  await summary.waitFor({ state: "visible", timeout: SOON });
  await summary.press("Enter");
}

/** Set at the page, by keyboard; then in a browser that has no passkey. */
async function password(browser, page) {
  const words = "a quiet ward at four";
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "hidden", timeout: SOON });
  await fromMenu(page, "My sign-ins and passkeys");
  await dialog(page).getByRole("button", { name: "Set a password" }).press("Enter");
  await dialog(page).locator(".secret").waitFor({ timeout: SOON });
  await survey(page, "password-set", BOTH);
  const secret = await dialog(page).locator(".secret").innerText();
  await dialog(page).getByLabel("New password").fill(NAME);
  await dialog(page).getByLabel("The same once more").fill(`${NAME}<`);
  await dialog(page).getByLabel("The code that the app shows now").fill("<b>x</b>");
  await page.keyboard.press("Enter");
  await dialog(page).getByRole("alert").filter({ hasText: /./ }).first().waitFor({ timeout: SOON });
  await dialog(page).getByLabel("New password").fill("nina nina nina!");
  await dialog(page).getByLabel("The same once more").fill("nina nina nina!");
  await dialog(page).getByLabel("The code that the app shows now").fill(appCode(secret));
  await page.keyboard.press("Enter");
  await dialog(page).getByText(/your name, or this program's, is in the password/).waitFor({ timeout: SOON });
  await dialog(page).getByLabel("New password").fill(words);
  await dialog(page).getByLabel("The same once more").fill(words);
  await dialog(page).getByLabel("The code that the app shows now").fill(appCode(secret));
  await page.keyboard.press("Enter");
  await dialog(page).getByRole("heading", { name: "Recovery codes" }).waitFor({ timeout: SOON });
  const codes = await dialog(page).locator(".codes li").allInnerTexts();
  ensure(codes.length === 10 && codes.every((code) => /^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/.test(code)), `recovery codes: ${codes}`);
  await survey(page, "recovery-codes", BOTH);
  await page.keyboard.press("Escape");
  await fromMenu(page, "My sign-ins and passkeys");
  await dialog(page).getByText(/10 recovery codes left/).waitFor({ timeout: SOON });
  await survey(page, "account-password", BOTH);
  await page.keyboard.press("Escape");

  const { page: other } = await open(browser);
  await other.goto(`${PAGE}/sign-in`);
  await other.getByLabel("One-time link or code").fill(SHORT);
  await other.getByRole("button", { name: "Sign in", exact: true }).press("Enter");
  await other.getByText(/^That code is not valid/).waitFor({ timeout: SOON });
  await unfold(other);
  await other.getByLabel("Name", { exact: true }).fill(SHORT);
  await other.getByLabel("Password", { exact: true }).fill(SHORT);
  await other.getByLabel("Code", { exact: true }).fill("<script>alert(1)</script>");
  await other.keyboard.press("Enter");
  await other.getByText(/Name, password and code do not belong together/).waitFor({ timeout: SOON });
  await nothingRan(other);
  await other.reload();
  await unfold(other);
  await other.getByLabel("Name", { exact: true }).fill("nina");
  await other.getByLabel("Password", { exact: true }).fill(words);
  await other.getByLabel("Code", { exact: true }).fill("000000");
  await other.keyboard.press("Enter");
  await other.getByText(/Name, password and code do not belong together/).waitFor({ timeout: SOON });
  await survey(other, "sign-in-password", BOTH);
  await other.getByLabel("Code", { exact: true }).fill(codes[0]);
  await other.keyboard.press("Enter");
  await atWork(other);
  await fromMenu(other, "Lock this screen");
  await unfold(other);
  await other.getByLabel("Name", { exact: true }).fill("Nina");
  await other.getByLabel("Password", { exact: true }).fill(words);
  await other.getByLabel("Code", { exact: true }).fill(appCode(secret, 1));
  await survey(other, "locked-password", BOTH);
  await other.keyboard.press("Enter");
  await atWork(other);
  await other.context().close();
}

/** The patient's own page: themselves, nobody else, and a pause that is theirs alone. */
async function patient(browser) {
  const { page } = await open(browser);
  await page.goto(PATIENT_LINK);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "My health today" }).waitFor({ timeout: SOON });
  await page.getByText("Hello Own Patient").waitFor({ timeout: SOON });
  // The nurse was at work before, and the doctor since.
  const earlier = page.getByText("Earlier", { exact: true });
  await earlier.focus();
  await earlier.press("Enter");
  await page.getByText(/\(nurse, Ward\) had on a list your newest values\./).waitFor({ timeout: SOON });
  await page.getByText("Ward", { exact: true }).waitFor({ timeout: SOON });
  for (const [method, body] of [
    ["TwinService/Get", named(OTHER)],
    ["ContextService/Get", named(OTHER)],
    // Collection 2: a pause.
    ["OperatorService/SetCollection", [...named(OTHER), 16, 2]],
    ["OperatorService/ListTeams", []],
    ["AlertService/Acknowledge", named("x")],
  ]) {
    const refused = await ask(page, method, body);
    ensure(refused.status === "7", `a patient asks for ${method}: ${JSON.stringify(refused)}`);
  }
  const listed = await ask(page, "OperatorService/ListPatients", []);
  ensure(listed.status === "0" && !listed.text.includes(OTHER), "a patient learns of another");
  await page.getByRole("button", { name: "Pause sharing", exact: true }).press("Enter");
  await dialog(page).getByRole("button", { name: "Pause sharing", exact: true }).press("Enter");
  await page.getByText(/^Sharing is paused since/).waitFor({ timeout: SOON });
  await page.getByRole("button", { name: "Tell how I feel", exact: true }).press("Enter");
  await dialog(page).getByRole("button", { name: "Send", exact: true }).press("Enter");
  await page.getByText("It is written down. Thank you.").first().waitFor({ timeout: SOON });
  await survey(page, "home-real", BOTH);
}

/** Nurse and doctor of one team at one patient: each sees that the other looks, what the other keeps for the team, and what they note. */
async function together(browser, nurse) {
  const { page: doctor } = await open(browser);
  await doctor.goto(DOCTOR);
  await doctor.getByRole("button", { name: "Sign in", exact: true }).click();
  await atWork(doctor);
  await doctor.locator(".filter-more summary").press("Enter");
  await doctor.getByLabel("Data", { exact: true }).selectOption("stale");
  await doctor.getByRole("button", { name: "Keep this filter" }).press("Enter");
  await dialog(doctor).getByLabel("Name of the filter").fill("Silent <b>sensors</b>");
  await dialog(doctor).getByLabel("For whom").selectOption({ label: "For all of team Ward" });
  await dialog(doctor).getByRole("button", { name: "Keep this filter" }).press("Enter");
  await doctor.getByRole("button", { name: "Silent <b>sensors</b> · Ward", exact: true }).waitFor({ timeout: SOON });
  await doctor.getByRole("button", { name: "Show all" }).press("Enter");
  await doctor.locator(".row .row-link").press("Enter");
  await doctor.getByRole("button", { name: "Write a note" }).press("Enter");
  await dialog(doctor).getByLabel("Words").fill("Walked <b>upstairs</b>");
  await dialog(doctor).getByRole("button", { name: "Save", exact: true }).press("Enter");
  await doctor.locator(".notes-list .note-text", { hasText: "Walked <b>upstairs</b>" }).waitFor({ timeout: SOON });

  await nurse.getByText("Also looking: Dora", { exact: true }).waitFor({ timeout: SOON });
  await nurse.reload();
  const kept = nurse.getByRole("button", { name: "Silent <b>sensors</b> · Ward", exact: true });
  await kept.press("Enter");
  ensure((await kept.getAttribute("aria-pressed")) === "true", "what the doctor keeps for the team is no filter for the nurse");
  await nurse.getByRole("button", { name: "Show all" }).press("Enter");
  await nurse.locator(".row .row-link").press("Enter");
  await nurse.locator(".page-head").getByText("Also looking: Dora", { exact: true }).waitFor({ timeout: SOON });
  await nurse.locator(".notes-list li", { hasText: "Walked <b>upstairs</b>" }).getByText(/· Dora$/).waitFor({ timeout: SOON });
  await doctor.locator(".page-head").getByText("Also looking: Nina", { exact: true }).waitFor({ timeout: SOON });
  const at = performance.now();
  await doctor.context().close();
  await nurse.locator(".page-head .lookers").waitFor({ state: "hidden", timeout: SOON });
  const took = performance.now() - at;
  ensure(took < 5000, `whoever went is said to look for ${took} ms more`);
  console.log(`whoever went was no longer said to look after ${Math.round(took)} ms`);
  await nurse.getByRole("link", { name: "Worklist" }).first().press("Enter");
  await atWork(nurse);
}

async function main() {
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  const browser = await launch(CHROMIUM);
  try {
    const { page, devtools, authenticatorId } = await open(browser);
    await page.goto(SIGN_IN);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await atWork(page);
    ensure((await page.locator(".row .row-link").count()) === 1, "a nurse sees another team's patient");
    for (const method of ["TwinService/Get", "ContextService/Get", "OperatorService/ListVoids"]) {
      const refused = await ask(page, method, named(OTHER));
      ensure(refused.status === "7", `${method} of another team's patient: ${JSON.stringify(refused)}`);
    }
    const patients = await ask(page, "OperatorService/ListPatients", []);
    ensure(patients.status === "0" && !patients.text.includes(OTHER), "the list of patients names another team's");
    const token = await ask(page, "OperatorService/CreateToken", []);
    ensure(token.status === "7", `a nurse makes a token: ${token.status}`);

    await together(browser, page);

    await fromMenu(page, "My sign-ins and passkeys");
    await dialog(page).getByLabel("Name for a new passkey").fill(LABEL);
    await survey(page, "account", BOTH);
    await dialog(page).getByRole("button", { name: "Make a passkey" }).press("Enter");
    await dialog(page).waitFor({ state: "hidden", timeout: SOON });
    await fromMenu(page, "My sign-ins and passkeys");
    await dialog(page).getByText("my phone").first().waitFor({ timeout: SOON });
    await survey(page, "account-passkey", BOTH);
    await page.keyboard.press("Escape");

    const name = await page.locator(".row .row-link").first().innerText();
    await fromMenu(page, "Lock this screen");
    const heading = page.getByRole("heading", { level: 1, name: "This screen is locked" });
    await heading.waitFor({ timeout: SOON });
    await page.reload();
    await heading.waitFor({ timeout: SOON });
    ensure(!(await page.content()).includes(name), "a locked screen names a patient");
    const list = await ask(page, "TwinService/List", []);
    ensure(list.status === "7" && !list.text.includes("p-"), `a locked session reads: ${JSON.stringify(list)}`);
    await survey(page, "locked-real", BOTH);
    // Not verified, not opened.
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
    await passkeyButton(page).click();
    await page.getByText(/That passkey was not accepted/).waitFor({ timeout: SOON });
    await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
    await passkeyButton(page).click();
    await atWork(page);

    // Who copied the key is refused while its counter lags, and seen and ended where it does not.
    const { credentials } = await devtools.send("WebAuthn.getCredentials", { authenticatorId });
    ensure(credentials.length === 1, `${credentials.length} passkeys were kept`);
    const [credential] = credentials;
    const other = await open(browser);
    const copy = (signCount) => other.devtools.send("WebAuthn.addCredential", { authenticatorId: other.authenticatorId, credential: { ...credential, signCount } });
    await copy(Math.max(0, credential.signCount - 1));
    await other.page.goto(`${PAGE}/sign-in`);
    await survey(other.page, "sign-in-passkey", BOTH);
    await passkeyButton(other.page).click();
    await other.page.getByText(/That passkey was not accepted/).waitFor({ timeout: SOON });
    await other.devtools.send("WebAuthn.removeCredential", { authenticatorId: other.authenticatorId, credentialId: credential.credentialId });
    await copy(credential.signCount + 100);
    await passkeyButton(other.page).click();
    await atWork(other.page);
    await fromMenu(page, "My sign-ins and passkeys");
    const ends = dialog(page).getByRole("button", { name: /^End/ });
    // The list comes a moment after the dialog.
    await ends.first().waitFor({ timeout: SOON });
    const listed = await ends.count();
    await ends.first().press("Enter");
    await until(page, "the session is still listed", SOON, (n) => document.querySelectorAll("dialog[open] .own-sessions button").length < n, listed);
    const at = performance.now();
    await other.page.getByRole("heading", { level: 1, name: "You are not signed in" }).waitFor({ timeout: SOON });
    console.log(`an ended session's page was empty after ${Math.round(performance.now() - at)} ms`);

    await password(browser, page);
    await patient(browser);

    await nothingRan(page);
    wereFilled("signin.mjs", filled);
    // Refused calls are errors in the console by themselves.
    const expected = /\b(401|403|422)\b/;
    await check(page, "signed in", complaints.filter((words) => !expected.test(words)));
    console.log("a nurse's own patients, a passkey, the lock, a copied key, an ended session, a password with codes");
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [n, page] of pages.entries()) {
      if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, `signin-failed-${n + 1}.png`) }).catch(() => {});
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
