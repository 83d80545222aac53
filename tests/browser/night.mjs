// A busy night at the page, in a real headless Chromium and with a made-up centre (centre.mjs): everything by keyboard,
// sound, filters, two languages and units, what people write in every field, a broken line, and thousands of patients.
//
//   SHOTS=folder node night.mjs [--negative-control]
//
//   PATIENTS    patients of the last part (5000)
//   CHROMIUM    the browser (/usr/bin/chromium)
//
// Exit 0 if everything held, 1 with a sentence about what did not. Prints what it measured; nothing hangs on a time.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startCentre } from "./centre.mjs";
import { ALL, CORPUS, everyFieldIsListed, NAME, nothingRan, SHORT, watchFields, wereFilled } from "./hostile.mjs";
import { check, ensure, Failure, launch, listen, shots, SIZES, SOON, survey, until, VAST } from "./common.mjs";

const { SHOTS = "", CHROMIUM = "/usr/bin/chromium", PATIENTS = "5000" } = process.env;
const NEGATIVE = process.argv.includes("--negative-control");
const WIDE = [[SIZES[0], "light"]];
const NARROW = [[SIZES[1], "dark"]];
const BOTH = [...WIDE, ...NARROW];
const WALL = [[{ width: 1920, height: 1080 }, "dark"], [SIZES[1], "light"]];

/** Frames are counted for so long, milliseconds. */
const SPAN = 4000;

/** Fields into which texts of the corpus were written. */
const filled = new Set();
const complaints = [];
const started = performance.now();
const tell = (words) => {
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s: ${words}`);
};

async function open(browser, centre) {
  const context = await browser.newContext({ viewport: SIZES[0], colorScheme: "light", locale: "en-GB", timezoneId: "Europe/Berlin" });
  await watchFields(context, filled);
  await listen(context, complaints);
  const page = await context.newPage();
  await page.goto(centre.url);
  await until(page, "no row", SOON, () => document.querySelectorAll(".row .row-link").length > 0);
  return page;
}

const dialog = (page) => page.getByRole("dialog");

/** Writes into the open dialog and sends it off, with the keyboard. */
async function answer(page, fields, button) {
  for (const [label, words] of Object.entries(fields)) await dialog(page).getByLabel(label, { exact: true }).fill(words);
  await dialog(page).getByRole("button", { name: button, exact: true }).press("Enter");
  await dialog(page).waitFor({ state: "hidden", timeout: SOON });
}

const focusedAlert = (page) => page.evaluate(() => document.activeElement?.closest("[data-alert]")?.dataset.alert ?? null);

async function sound(page, centre) {
  const bell = page.locator(".bell");
  ensure((await bell.getAttribute("class")).includes("silent"), "the page does not say that it cannot be heard yet");
  ensure(await page.getByText("Sound still off").isVisible(), "the badge of silence is not seen");
  await page.keyboard.press("Shift");
  await until(page, "a key did not allow sound", SOON, () => !document.querySelector(".bell").classList.contains("silent"));
  const bursts = () => page.evaluate(() => Number(document.documentElement.dataset.bursts ?? 0));
  await page.evaluate(() => {
    const mark = new MutationObserver(() => (window.heard ??= performance.timeOrigin + performance.now()));
    window.listenNow = () => {
      window.heard = undefined;
      mark.observe(document.documentElement, { attributes: true, attributeFilter: ["data-bursts"] });
    };
  });
  // What waits already may sound; a pause makes it quiet, and what is new at high priority ends the pause.
  await page.keyboard.press("q");
  await page.getByText(/^Sound paused/).waitFor({ timeout: SOON });
  const quiet = await bursts();
  await page.evaluate(() => window.listenNow());
  const at = Date.now();
  const urgent = centre.raise(20, "oxygen_saturation_low");
  await until(page, "a new high priority alert did not end the pause", SOON, (n) => Number(document.documentElement.dataset.bursts) > n, quiet);
  tell(`from the centre's change to the begin of the sound: ${Math.round((await page.evaluate(() => window.heard)) - at)} ms`);
  // A tab that nobody sees has no frames, and its timers may rest for a minute: an alert is heard all the same.
  const before = await bursts();
  await page.evaluate(() => {
    window.resting = [];
    window.woken = { frame: window.requestAnimationFrame, timer: window.setTimeout };
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    window.requestAnimationFrame = window.setTimeout = (wake) => window.resting.push(wake);
  });
  const unseen = centre.raise(19, "oxygen_saturation_low");
  await until(page, "an alert is not heard while nobody sees the tab", SOON, (n) => Number(document.documentElement.dataset.bursts) > n, before);
  await page.evaluate(() => {
    window.requestAnimationFrame = window.woken.frame;
    window.setTimeout = window.woken.timer;
    delete document.hidden;
    for (const wake of window.resting) wake();
  });
  centre.resolve(unseen.id);
  const spoken = await page.locator('[aria-live="assertive"]').innerText();
  ensure(/High priority alert, .*: Oxygen saturation low/.test(spoken), `a screen reader hears ${JSON.stringify(spoken)}`);
  return urgent;
}

/** What a nurse does in a busy night, with no mouse. */
async function keyboard(page, centre, urgent) {
  await page.keyboard.press("?");
  await dialog(page).getByRole("heading", { name: "Keys" }).waitFor({ timeout: SOON });
  await survey(page, "keys", NARROW);
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "hidden", timeout: SOON });

  await page.keyboard.press("j");
  const first = await focusedAlert(page);
  ensure(centre.alerts.get(first)?.priority === 3, `the first row is of ${first}`);
  await page.keyboard.press("a");
  await dialog(page).getByRole("heading", { name: "Acknowledge" }).waitFor({ timeout: SOON });
  await page.keyboard.type("On my way ");
  // Key by key this long a text takes longer than all else of the part.
  await page.keyboard.insertText(ALL);
  await survey(page, "acknowledge", WIDE);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await dialog(page).waitFor({ state: "hidden", timeout: SOON });
  await until(page, "the row does not say that it was acknowledged", SOON, (id) => document.querySelector(`[data-alert="${CSS.escape(id)}"].acknowledged`) !== null || !document.querySelector(`[data-alert="${CSS.escape(id)}"].active`), first);
  ensure(centre.alerts.get(first).acknowledgeNote === `On my way ${ALL}`, "the note is not what was written");
  ensure((await page.evaluate(() => document.activeElement !== document.body)) === true, "the focus is lost after an act");

  // Rows move; the focus stays on the same patient.
  const focused = await page.evaluate(() => document.activeElement.closest(".row")?.querySelector(".row-link").textContent);
  const another = centre.raise(22, "oxygen_saturation_low");
  await until(page, "a new alert is not in the worklist", SOON, (id) => document.querySelector(`[data-alert="${CSS.escape(id)}"]`) !== null, another.id);
  ensure((await page.evaluate(() => document.activeElement.closest(".row")?.querySelector(".row-link").textContent)) === focused, "the focus did not stay where it was when rows moved");

  // Nothing silences what is high.
  await page.locator(`[data-alert="${another.id}"] [data-stop]`).focus();
  await page.keyboard.press("s");
  await dialog(page).getByText(/Nothing silences/).waitFor({ timeout: SOON });
  await page.keyboard.press("Escape");

  // Take, comment, assign; and what is less urgent is silenced with a reason, and woken.
  await page.keyboard.press("t");
  await until(page, "who took it is not shown", SOON, (id) => /Owner: Night nurse/.test(document.querySelector(`[data-alert="${CSS.escape(id)}"]`)?.textContent ?? ""), another.id);
  await page.keyboard.press("c");
  await answer(page, { Comment: ALL }, "Save comment");
  // The next one of its ladder is called now, once; of what was acknowledged too, which then waits for them.
  await page.keyboard.press("e");
  await dialog(page).getByRole("heading", { name: "Call the doctor now" }).waitFor({ timeout: SOON });
  await survey(page, "escalate", BOTH);
  await answer(page, { "What they are to know (optional)": `Blue, ${ALL}` }, "Call the doctor now");
  ensure(centre.alerts.get(another.id).calls.map(({ duty }) => duty).join() === "1,2", "the doctor was not called");
  ensure(centre.alerts.get(another.id).comments.at(-1).text === `Blue, ${ALL}`, "what they are to know is not what was written");
  await page.locator(`[data-alert="${first}"] [data-stop]`).focus();
  await page.keyboard.press("e");
  await dialog(page).getByText(/It waits for a person again/).waitFor({ timeout: SOON });
  await page.keyboard.press("Escape");
  await page.locator(`[data-alert="${another.id}"] [data-stop]`).focus();
  await page.keyboard.press("o");
  await answer(page, { "Whose affair it is": `Dr Who ${CORPUS[1]}` }, "Assign");
  ensure(centre.alerts.get(another.id).owner === `Dr Who ${CORPUS[1]}`, "the owner is not who was written");
  const medium = centre.raise(21, "heart_rate_high");
  await page.locator(`[data-alert="${medium.id}"] [data-stop]`).focus();
  await page.keyboard.press("s");
  await survey(page, "silence", NARROW);
  await answer(page, { Reason: `Known, ${ALL}` }, "Silence the condition");
  await until(page, "the row does not say that it is silenced", SOON, (id) => /silenced until/.test(document.querySelector(`[data-alert="${CSS.escape(id)}"]`)?.textContent ?? ""), medium.id);

  await page.keyboard.press("n");
  await page.waitForURL(/#\/patient\//, { timeout: SOON });
  await until(page, "no patient is open", SOON, () => document.querySelector(".page.patient") !== null);
  const waits = await page.getByRole("heading", { level: 1 }).innerText();
  const longest = [...centre.alerts.values()].filter(({ state, priority }) => state === 1 && priority === 3).sort((x, y) => Number(x.raisedUs - y.raisedUs))[0];
  ensure(waits === centre.people.find(({ id }) => id === longest.patient).name, `the most urgent who waits is ${waits}`);
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await page.getByRole("heading", { level: 1, name: "Handover" }).waitFor({ timeout: SOON });
  await page.getByText("Known, <script>").waitFor({ timeout: SOON });
  // Everything of mine to whoever comes.
  await page.keyboard.press("j");
  await page.keyboard.press("t");
  await page.getByRole("button", { name: /^Hand over mine/ }).press("Enter");
  await answer(page, { "Whose affair it is": "Day nurse" }, "Assign");
  await until(page, "who comes is not the owner", SOON, () => /owner: Day nurse/.test(document.querySelector("main").textContent) && !document.querySelector("main").textContent.includes("owner: Night nurse"));
  await survey(page, "handover", NARROW);
  await page.emulateMedia({ media: "print" });
  if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, "handover-print.png"), fullPage: true });
  ensure(!(await page.getByRole("button", { name: "Print", exact: true }).isVisible()), "buttons are printed");
  await page.emulateMedia({ media: "screen" });

  await page.keyboard.press("g");
  await page.keyboard.press("a");
  await page.getByRole("heading", { level: 1, name: "Alerts" }).waitFor({ timeout: SOON });
  // Who had whom called stands in the alert's story; where nobody is left, nothing is offered.
  const urgentCard = page.locator(`[data-alert="${another.id}"]`);
  await urgentCard.getByText(/called: nurse .*, doctor .* by Night nurse/).waitFor({ timeout: SOON });
  await urgentCard.getByRole("button", { name: /^Escalate/ }).press("Enter");
  await answer(page, {}, "Call the supervisor now");
  await urgentCard.getByText(/supervisor .* by Night nurse/).waitFor({ timeout: SOON });
  ensure(!(await urgentCard.getByRole("button", { name: /^Escalate/ }).isVisible()), "there is a button to call nobody");
  const card = page.locator(`[data-alert="${medium.id}"]`);
  await card.getByRole("button", { name: /^Wake/ }).press("Enter");
  await card.getByRole("button", { name: /^Silence/ }).waitFor({ timeout: SOON });

  // Single keys can be switched off, and are not taken while somebody writes.
  await page.keyboard.press("/");
  await page.getByRole("searchbox").waitFor({ timeout: SOON });
  await until(page, "the search has no focus", SOON, () => document.activeElement?.matches(".search"));
  await page.keyboard.type("q?gj");
  ensure((await page.getByRole("searchbox").inputValue()) === "q?gj", "keys were taken while somebody wrote");
  ensure(!(await dialog(page).isVisible()), "a dialog opened while somebody wrote");
  await page.getByRole("searchbox").fill(ALL);
  await nothingRan(page);
  await page.getByRole("searchbox").fill("");
  await page.getByRole("button", { name: "Settings" }).press("Enter");
  await survey(page, "settings", NARROW);
  await dialog(page).getByLabel("Single-key commands").selectOption("off");
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { level: 1 }).focus();
  await page.keyboard.press("?");
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  ensure(!(await dialog(page).isVisible()) && new URL(page.url()).hash !== "#/alerts", "a single key is a command although they are off");
  await page.evaluate(() => localStorage.removeItem("vitaltwin.keys"));
  return urgent;
}

/** Several at once, never of high priority. */
async function bulk(page, centre) {
  const [a, b] = [centre.raise(23, "heart_rate_high"), centre.raise(24, "sensor_off")];
  const high = centre.raise(25, "oxygen_saturation_low");
  await page.goto(`${centre.url}/#/alerts`);
  const box = ({ id }) => page.locator(`[data-alert="${id}"] input[type=checkbox]`);
  await box(high).waitFor({ timeout: SOON });
  ensure(await box(high).isDisabled(), "a high priority alert can be chosen for acknowledging in bulk");
  for (const one of [a, b]) await box(one).press("Space");
  await survey(page, "alerts-chosen", NARROW);
  await page.getByRole("button", { name: "Acknowledge 2", exact: true }).press("Enter");
  await answer(page, {}, "Acknowledge 2");
  await until(page, "two were not acknowledged", SOON, (ids) => ids.every((id) => document.querySelector(`[data-alert="${CSS.escape(id)}"].acknowledged`) !== null), [a.id, b.id]);
  ensure(centre.alerts.get(high.id).state === 1, "a high priority alert was acknowledged in bulk");
}

async function filters(page, centre) {
  await page.goto(`${centre.url}/#/`);
  const high = centre.raise(26, "oxygen_saturation_low");
  await page.locator(`[data-alert="${high.id}"]`).waitFor({ timeout: SOON });
  await page.locator(".filter-more summary").press("Enter");
  await page.getByLabel("About").selectOption("technical");
  const counted = () => page.locator(".page-note").innerText();
  ensure(/^\d+ of 40 patients$/.test(await counted()), `a filter filters nothing: ${await counted()}`);
  ensure(await page.locator(`[data-alert="${high.id}"]`).isVisible(), "a filter hides a high priority alert that waits");
  await page.getByText(/shown all the same/).waitFor({ timeout: SOON });
  await page.getByRole("button", { name: "Keep this filter" }).press("Enter");
  await answer(page, { "Name of the filter": SHORT }, "Keep this filter");
  await page.getByRole("searchbox").fill(centre.people[3].name);
  await survey(page, "filtered", NARROW);
  await page.reload();
  const kept = page.getByRole("button", { name: SHORT, exact: true });
  await kept.press("Enter");
  ensure((await kept.getAttribute("aria-pressed")) === "true", "a kept filter is not applied");
  ensure((await page.getByLabel("About").inputValue()) === "technical", "a kept filter is another one");
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  ensure(!centre.people.some(({ name, id }) => stored.includes(name) || stored.includes(id)), "the browser's storage names a patient");
  await page.getByRole("button", { name: `Forget filter ${SHORT}`, exact: true }).press("Enter");
  // What the team keeps at the centre is there for all of it; one is kept, seen, and forgotten by who may.
  const ward = "Ward <b>3</b>";
  const quiet = page.getByRole("button", { name: `Quiet <i>sensors</i> · ${ward}`, exact: true });
  await quiet.press("Enter");
  ensure((await page.getByLabel("Data", { exact: true }).inputValue()) === "stale", "a team's filter is not applied");
  await page.locator(".filter-more summary").press("Enter");
  await page.getByLabel("Owner").selectOption("nobody");
  await page.getByRole("button", { name: "Keep this filter" }).press("Enter");
  await dialog(page).getByLabel("For whom").selectOption({ label: `For all of team ${ward}` });
  await survey(page, "filter-of-team", NARROW);
  await answer(page, { "Name of the filter": "Quiet, nobody's" }, "Keep this filter");
  const facets = centre.teamFilters.find(({ name }) => name === "Quiet, nobody's")?.facets.join();
  ensure(facets === "owner=nobody,data=stale", `the centre was told ${facets}`);
  await page.getByRole("button", { name: `Quiet, nobody's · ${ward}`, exact: true }).waitFor({ timeout: SOON });
  await page.getByRole("button", { name: `Forget filter Quiet, nobody's of team ${ward}`, exact: true }).press("Enter");
  await answer(page, {}, "Forget it");
  ensure(centre.teamFilters.length === 1, "the team's filter was not forgotten");
  await page.getByRole("button", { name: "Show all" }).press("Enter");
  await until(page, "not all patients are back", SOON, (n) => document.querySelector(".page-note").textContent === `${n} patients`, centre.people.length);
  await page.evaluate(() => window.dispatchEvent(new Event("beforeprint")));
  await until(page, "paper lacks patients", SOON, (n) => document.querySelectorAll(".row").length === n, centre.people.length);
}

/** Who else has a patient's page open. */
async function together(page, centre) {
  await page.goto(`${centre.url}/#/`);
  const { id } = centre.people[22];
  centre.look([{ patient: id, people: ["Dr Ada <b>Berg</b>", "Nils"] }]);
  const row = page.locator(".row", { has: page.locator(`a[href$="${id}"]`) });
  await row.getByText("Also looking: Dr Ada <b>Berg</b>, Nils", { exact: true }).waitFor({ timeout: SOON });
  await survey(page, "looking", NARROW);
  await page.goto(`${centre.url}/#/patient/${id}`);
  await page.locator(".page-head").getByText("Also looking: Dr Ada <b>Berg</b>, Nils", { exact: true }).waitFor({ timeout: SOON });
  const told = async (words, wanted) => {
    const end = performance.now() + SOON;
    while (JSON.stringify(centre.open) !== JSON.stringify(wanted) && performance.now() < end) await page.waitForTimeout(20);
    ensure(JSON.stringify(centre.open) === JSON.stringify(wanted), `${words}: ${JSON.stringify(centre.open)}`);
  };
  await told("the centre is not told which page is open", [id]);
  centre.look([]);
  await page.locator(".page-head .lookers").waitFor({ state: "hidden", timeout: SOON });
  await page.goto(`${centre.url}/#/alerts`);
  await told("the centre is not told that the page was left", [""]);
}

/** The last day once more, by keyboard. */
async function replay(page) {
  const at = page.locator(".known-at");
  const moved = async (words, act) => {
    const was = (await at.count()) === 0 ? "" : await at.innerText();
    await act();
    await until(page, words, SOON, (before) => !["", before].includes(document.querySelector(".known-at")?.innerText ?? ""), was);
  };
  const press = (name) => page.getByRole("button", { name, exact: true }).press("Enter");
  await press("Replay 24 hours");
  await moved("the replay does not play", () => {});
  await page.getByText(/^Alerts that were open at .*, as known then$/).waitFor({ timeout: SOON });
  await page.getByLabel("Speed", { exact: true }).selectOption({ label: "10 minutes a second" });
  await press("Pause");
  await page.getByRole("button", { name: "Play", exact: true }).waitFor({ timeout: SOON });
  const still = await at.innerText();
  await page.waitForTimeout(1300);
  ensure((await at.innerText()) === still, "a pause does not stop the replay");
  await survey(page, "replay", NARROW);
  await moved("the slider moves nothing in a replay", () => page.getByLabel("As it was known at").press("End"));
  // Who wants no motion gets a picture only when they ask for the next.
  await press("End the replay");
  await page.emulateMedia({ reducedMotion: "reduce" });
  await press("Replay 24 hours");
  await page.getByRole("button", { name: "Next picture", exact: true }).waitFor({ timeout: SOON });
  const calm = await at.innerText();
  await page.waitForTimeout(1300);
  ensure((await at.innerText()) === calm, "something moves although less motion was asked for");
  await moved("the next picture does not come", () => press("Next picture"));
  await press("End the replay");
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await page.getByRole("heading", { name: "Open alerts" }).waitFor({ timeout: SOON });
}

/** Whoever and whatever has a name that is hostile, everywhere where it is shown. */
async function names(page, centre) {
  const of = centre.people.at(-1);
  of.name = `${NAME} ${CORPUS.at(-1)}`;
  of.hostile = NAME;
  const evidence = [{ kind: 1, label: ALL, value: 131, limit: 120, effectiveUs: BigInt(Date.now()) * 1000n, contribution: 1 }];
  const calls = [{ atUs: BigInt(Date.now()) * 1000n, duty: 1 }, { atUs: BigInt(Date.now()) * 1000n, duty: 2, by: NAME }];
  const comments = CORPUS.map((text) => ({ atUs: BigInt(Date.now()) * 1000n, by: NAME, text }));
  // Of all who wait the longest, so that it stands on the wall.
  const raisedUs = BigInt(Date.now() - 7_200_000) * 1000n;
  const alert = centre.raise(of.n, "oxygen_saturation_low", { raisedUs, summary: ALL, plainSummary: `${ALL}.`, subject: ALL, model: NAME, owner: NAME, evidence, calls, comments });
  await page.goto(`${centre.url}/#/`);
  await page.reload();
  await page.locator(`[data-alert="${alert.id}"]`).first().waitFor({ timeout: SOON });
  for (const hash of ["#/", "#/alerts", "#/handover", "#/wall", `#/patient/${of.id}`]) {
    await page.goto(`${centre.url}/${hash}`);
    await until(page, `${hash} does not show a hostile name as it was written`, SOON, (words) => document.querySelector("main").textContent.includes(words), SHORT);
    const beyond = await page.evaluate(() => [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className || e.tagName));
    ensure(beyond.length === 0, `${hash}: words that are cut off or lie over others: ${beyond}`);
    await survey(page, `hostile-${hash.replaceAll(/[^a-z]/g, "") || "worklist"}`, hash === "#/wall" ? WALL : hash === "#/" ? [...BOTH, ...VAST] : BOTH);
    await nothingRan(page);
  }
  const said = await page.locator(`[data-alert="${alert.id}"] .comments li`).allInnerTexts();
  ensure(CORPUS.slice(0, 4).every((words) => said.some((line) => line.includes(words))), `words are shown as ${said}`);
  centre.resolve(alert.id);
}

async function patient(page, centre) {
  await page.goto(`${centre.url}/#/patient/${centre.people[22].id}`);
  await page.locator(".comments", { hasText: "<script>window.marks.push(1)</script>" }).waitFor({ timeout: SOON });
  await page.locator("canvas.wave").waitFor({ timeout: SOON });
  await page.getByRole("button", { name: "10 s back" }).press("Enter");
  await page.getByRole("button", { name: "Newest", exact: true }).press("Enter");
  // Facts: corpus in every field, and the patient's own clock.
  await page.getByRole("button", { name: "Write down" }).press("Enter");
  await survey(page, "fact", NARROW);
  await answer(page, { Name: ALL.slice(0, 199), "Code (optional)": CORPUS[2], Unit: CORPUS[0].slice(0, 40), Number: "3", Words: ALL }, "Save");
  await page.locator(".fact-text", { hasText: "<b>bold</b>" }).waitFor({ timeout: SOON });
  await page.getByRole("button", { name: "Write down" }).press("Enter");
  await dialog(page).getByLabel("What it is").selectOption({ label: "Time zone" });
  await answer(page, { Words: "America/New_York" }, "Save");
  await page.getByText(/at the patient's \(America\/New_York\)/).waitFor({ timeout: SOON });
  // What would have avoided it, and the card of the model that told.
  const low = page.locator(".alert-card", { hasText: "Oxygen saturation low" }).first();
  await low.getByText("It would not have come with: Oxygen saturation 92 %.", { exact: true }).waitFor({ timeout: SOON });
  await low.getByRole("button", { name: /^Card of the model thresholds\/3/ }).press("Enter");
  await dialog(page).getByRole("heading", { name: "Thresholds: thresholds/3" }).waitFor({ timeout: SOON });
  await dialog(page).getByText(/^This alert was made with limits of this centre/).waitFor({ timeout: SOON });
  await survey(page, "model-card", NARROW);
  await page.keyboard.press("Escape");
  // A note at the trends: drawn, listed, spoken, and there only since it was written.
  await page.getByRole("button", { name: "Write a note" }).press("Enter");
  await dialog(page).getByLabel("When", { exact: true }).press("PageDown");
  await dialog(page).getByLabel("About", { exact: true }).selectOption({ label: "Oxygen saturation" });
  await survey(page, "note", NARROW);
  await answer(page, { Words: ALL }, "Save");
  await page.locator(".notes-list .note-text", { hasText: "<b>bold</b>" }).waitFor({ timeout: SOON });
  const spokenOf = (name) => page.locator(".trend", { hasText: name }).locator(".chart").first();
  await until(page, "a chart does not say that there is a note", SOON, () => [...document.querySelectorAll(".trend .chart")].some((e) => / Notes in the list below: 1\.$/.test(e.getAttribute("aria-label") ?? "")));
  ensure(!/Notes in/.test(await spokenOf("Heart rate").getAttribute("aria-label")), "a note about oxygen stands at the heart rate");
  const noted = centre.people[22].facts.find(({ kind }) => kind === 16);
  ensure(noted?.value === 5 && noted.text === ALL.trim() && noted.fromUs < noted.recordedUs, `the centre was told ${noted?.value} ${noted?.fromUs}`);
  await survey(page, "patient-noted", WIDE);
  // What was known then.
  await page.getByRole("button", { name: "What did we know then?" }).press("Enter");
  const slider = page.getByLabel("As it was known at");
  await slider.press("PageDown");
  await page.getByText(/^Alerts that were open at .*, as known then$/).waitFor({ timeout: SOON });
  await page.getByText("No open alerts.").waitFor({ timeout: SOON });
  await until(page, "a note is shown before it was written", SOON, () => document.querySelectorAll(".notes-list li").length === 0);
  if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, "known-then.png"), fullPage: true });
  await page.getByRole("button", { name: "What did we know then?" }).press("Enter");
  await replay(page);
  await page.getByRole("radio", { name: "1 year" }).check({ force: true });
  await until(page, "a year is not drawn", SOON, () => [...document.querySelectorAll(".trend .chart")].some((e) => / 8\d\d\d readings,/.test(e.getAttribute("aria-label") ?? "")));
  await survey(page, "patient-year", [...BOTH, ...VAST]);
  await page.emulateMedia({ media: "print" });
  if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, "patient-print.png"), fullPage: true });
  await page.emulateMedia({ media: "screen" });
}

/** German, mmol/L, Fahrenheit and the patient's zone, chosen on the page and kept. */
async function settings(page, centre) {
  await page.goto(`${centre.url}/#/patient/${centre.people[3].id}`);
  const tile = (name) => page.locator(".tile", { hasText: name });
  await tile("Glucose").getByText("mg/dL").waitFor({ timeout: SOON });
  const choose = async (title, label, value) => {
    await page.getByRole("button", { name: title }).press("Enter");
    await Promise.all([page.waitForEvent("load"), dialog(page).getByLabel(label, { exact: true }).selectOption(value)]);
    await until(page, "no page after a choice", SOON, () => document.querySelector(".tile") !== null);
  };
  await choose("Settings", "Blood glucose", "mmol/L");
  await choose("Settings", "Temperature", "°F");
  await choose("Settings", "Times", "patient");
  await choose("Settings", "Language", "de");
  await tile("Glukose").getByText("mmol/L").waitFor({ timeout: SOON });
  await tile("Temperatur").getByText("°F").waitFor({ timeout: SOON });
  ensure(/^9\d,\d$/.test(await tile("Temperatur").locator(".tile-value").innerText()), "a temperature is not shown in Fahrenheit as Germans write it");
  ensure((await page.evaluate(() => document.documentElement.lang)) === "de", "the document does not say that it is German");
  await page.goto(`${centre.url}/#/patient/${centre.people[22].id}`);
  await page.getByText(/alle Zeiten in der Zeitzone des Patienten, America\/New_York/).waitFor({ timeout: SOON });
  await survey(page, "patient-german", NARROW);
  await page.goto(`${centre.url}/#/`);
  await page.getByRole("heading", { level: 1, name: "Arbeitsliste" }).waitFor({ timeout: SOON });
  await survey(page, "worklist-german", WIDE);
  await page.goto(`${centre.url}/#/wall`);
  await page.locator(".wall-card").first().waitFor({ timeout: SOON });
  await survey(page, "wall", WALL);
  // It counts its room anew each second.
  await until(page, "the wall scrolls", SOON, () => document.documentElement.scrollHeight <= innerHeight || innerWidth < 900);
  await page.evaluate(() => localStorage.clear());
}

/** Nobody was there for a while: nothing of a patient is left to read, and what rings is heard. */
async function locked(page, centre) {
  await page.goto(`${centre.url}/#/patient/${centre.people[20].id}`);
  // The words of the part before are German.
  await page.reload();
  await page.locator(".tile").first().waitFor({ timeout: SOON });
  // Names come after values.
  await until(page, "control: the patient is not named while the screen is open", SOON, (name) => document.body.innerText.includes(name), centre.people[20].name ?? centre.people[20].id);
  await page.keyboard.press("Shift");
  centre.lock([0, 0, 0]);
  await page.getByRole("heading", { level: 1, name: "This screen is locked" }).waitFor({ timeout: SOON });
  const bursts = () => page.evaluate(() => Number(document.documentElement.dataset.bursts ?? 0));
  const quiet = await bursts();
  centre.lock([1, 0, 2]);
  const at = performance.now();
  await until(page, "a locked screen is not heard", SOON, (n) => Number(document.documentElement.dataset.bursts) > n, quiet);
  tell(`from the centre's change to the sound of a locked screen: ${Math.round(performance.now() - at)} ms`);
  await page.getByText("3 alerts wait for someone, 1 of high priority").waitFor({ timeout: SOON });
  const left = await page.evaluate(() => document.documentElement.outerHTML + document.title);
  const leaks = centre.people.flatMap(({ id, name }) => [id, name ?? id]).filter((words) => left.includes(words));
  ensure(leaks.length === 0, `a locked screen still holds ${leaks}`);
  await page.keyboard.press("w");
  ensure((await page.locator(".row, .tile, .alert-card").count()) === 0, "a key opens something on a locked screen");
  await survey(page, "locked", BOTH);
  centre.lock(null);
  await until(page, "the screen does not open", SOON, () => document.querySelectorAll(".row, .tile").length > 0);
}

/** A viewer's wall stays open; whoever may do more is asked again who they are. */
async function wallStays(page, centre) {
  const said = async (role, hash) => {
    centre.as(role);
    await page.goto(`${centre.url}/${hash}`);
    await page.reload();
    await page.locator(hash === "#/wall" ? ".wall-card" : ".row").first().waitFor({ timeout: SOON });
    // What was said when the page was loaded does not count.
    centre.forgetActive();
    await page.evaluate(() => window.dispatchEvent(new Event("online")));
    const end = performance.now() + SOON;
    while (centre.active === null && performance.now() < end) await page.waitForTimeout(20);
    return centre.active;
  };
  ensure((await said("viewer", "#/wall")) === true, "a viewer's wall would lock");
  ensure((await said("nurse", "#/wall")) === false, "a nurse's wall would never lock");
  ensure((await said("viewer", "#/")) === false, "a viewer's worklist would never lock");
  centre.lock(null);
  await page.reload();
  await page.locator(".row").first().waitFor({ timeout: SOON });
}

async function brokenLine(page, centre) {
  await page.goto(`${centre.url}/#/`);
  await page.reload();
  await until(page, "the connection is not live", SOON, () => document.querySelector(".connection.live") !== null);
  // Who presses the badge of silence wants to hear, not to pause.
  await page.locator(".bell.silent").focus();
  await page.keyboard.down("Space");
  await until(page, "a press on the badge did not switch the sound on", SOON, () => document.querySelector(".bell:not(.silent)") !== null);
  await page.keyboard.up("Space");
  ensure((await page.locator(".bell.paused").count()) === 0, "a click that was to switch the sound on paused it");
  await page.context().setOffline(true);
  centre.cut();
  await page.getByText(/^No connection to the centre for/).waitFor({ timeout: SOON });
  await until(page, "values are not greyed while the line is down", SOON, () => document.querySelector(".row.stale-row .age.stale") !== null);
  if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, "no-connection.png") });
  await page.context().setOffline(false);
  await until(page, "the connection did not come back", SOON, () => document.querySelector(".connection.live") !== null);
}

async function night(browser) {
  const centre = await startCentre({ patients: 40, share: 0.35 });
  try {
    const page = await open(browser, centre);
    const urgent = await sound(page, centre);
    tell("sound: badge until a gesture, pause, and a new high priority ends it");
    await keyboard(page, centre, urgent);
    tell("the commands of a busy night by keyboard alone");
    await bulk(page, centre);
    await filters(page, centre);
    tell("bulk refused for high priority; filters kept, and hide nothing urgent");
    await together(page, centre);
    await names(page, centre);
    tell("hostile names and words of devices, gateways, people and models are shown as words");
    await patient(page, centre);
    tell("patient: waveforms, facts, what was known then, a year");
    await settings(page, centre);
    tell("German, mmol/L, °F and the patient's zone; wall");
    await locked(page, centre);
    await wallStays(page, centre);
    tell("locked: nothing of a patient, and heard all the same; a viewer's wall stays open");
    await check(page, "busy night", complaints);
    await brokenLine(page, centre);
    tell("a broken line is said, and mends");
    // A line that is down is an error in the console by itself.
    complaints.length = 0;
    await nothingRan(page);
    await page.context().close();
  } finally {
    centre.stop();
  }
}

/** A patient's own page: large and plain, without alarms; sharing paused and resumed, a symptom told, everything taken home. */
async function home(browser) {
  const centre = await startCentre({ patients: 1, share: 0 });
  centre.resolve(centre.raise(0, "oxygen_saturation_low").id);
  centre.as("patient");
  try {
    const context = await browser.newContext({ viewport: SIZES[0], colorScheme: "light", locale: "en-GB", timezoneId: "Europe/Berlin" });
    await watchFields(context, filled);
    await listen(context, complaints);
    const page = await context.newPage();
    await page.goto(centre.url);
    await page.getByRole("heading", { level: 1, name: "My health today" }).waitFor({ timeout: SOON });
    await page.getByText(/usual for you/).nth(2).waitFor({ timeout: SOON });
    await page.getByText("Ward <b>3</b>", { exact: true }).waitFor({ timeout: SOON });
    ensure((await page.locator(".nav:not([hidden]), .counts:not([hidden]), .row, .alert-card").count()) === 0, "a patient sees the team's screen");
    ensure((await page.getByText(/does not call for help/).count()) > 0, "the page does not say that it calls nobody");
    await page.goto(`${centre.url}/#/alerts`);
    await page.getByRole("heading", { level: 1, name: "My health today" }).waitFor({ timeout: SOON });
    await page.getByText("Ada <b>x</b> (nurse, Ward <b>3</b>) looked at your earlier readings: Heartbeats a minute.").waitFor({ timeout: SOON });
    await page.getByText("The telemedicine service tele had on a list alerts about you.").waitFor({ timeout: SOON });
    await page.getByText("olga, who runs the centre, looked at how you were at an earlier time.").waitFor({ timeout: SOON });
    const earlier = page.getByText("Earlier", { exact: true });
    await earlier.focus();
    await earlier.press("Enter");
    await page.getByText("Ben (doctor) looked at when your devices measured.").waitFor({ timeout: SOON });
    const models = page.locator("summary", { hasText: "Which model used which reading" });
    await models.press("Enter");
    await page.getByText(/: by thresholds\/3, from Oxygen in the blood 87\s% at \d\d:\d\d; Breaths a minute 23[^;]* at \d\d:\d\d\.$/).waitFor({ timeout: SOON });
    await survey(page, "home");
    const press = (name) => page.getByRole("button", { name, exact: true }).press("Enter");
    await press("Pause sharing");
    await survey(page, "home-pause", BOTH);
    await answer(page, {}, "Pause sharing");
    await page.getByText(/^Sharing is paused since/).waitFor({ timeout: SOON });
    ensure(centre.sharing === 2, `the centre was asked for ${centre.sharing}`);
    await press("Share again");
    await answer(page, {}, "Share again");
    await page.getByText("These teams look after you").waitFor({ timeout: SOON });
    ensure(centre.sharing === 1, `the centre was asked for ${centre.sharing}`);
    const service = page.locator(".home-platforms li");
    ensure((await service.innerText()).startsWith("The telemedicine service Tele <b>North</b> sees: your newest values, alerts about you, and it may answer alerts; of that only: Oxygen in the blood."), await service.innerText());
    await press("Share nothing with Tele <b>North</b>");
    await survey(page, "home-platform", BOTH);
    await answer(page, {}, "Share nothing with Tele <b>North</b>");
    await service.getByText("The telemedicine service Tele <b>North</b> sees nothing of you: you have said so.").waitFor({ timeout: SOON });
    ensure(centre.stopped, "the centre was not told");
    await press("Share with Tele <b>North</b> again");
    await answer(page, {}, "Share with Tele <b>North</b> again");
    await service.getByText(/Tele <b>North<\/b> sees: your newest values/).waitFor({ timeout: SOON });
    ensure(!centre.stopped, "the centre was not told of the change of mind");
    await press("Tell how I feel");
    await dialog(page).getByLabel("What is it?").selectOption({ label: "Dizziness" });
    await dialog(page).getByLabel("How strong is it?").selectOption("7");
    await dialog(page).getByLabel("Breathlessness these days (mMRC scale)").selectOption("2");
    await survey(page, "home-tell", BOTH);
    await answer(page, { "In your own words": ALL }, "Send");
    await page.getByText("It is written down. Thank you.").first().waitFor({ timeout: SOON });
    const told = centre.people[0].facts.map(({ kind, label, value, text }) => [kind, label, value, text]);
    ensure(told.some(([kind, label, value, text]) => kind === 6 && label === "Dizziness" && value === 7 && text === ALL.trim()), `the centre was told ${JSON.stringify(told)}`);
    ensure(told.some(([kind, label, value]) => kind === 6 && label === "mMRC dyspnoea scale" && value === 2), `the answer was told as ${JSON.stringify(told)}`);
    const [file] = await Promise.all([page.waitForEvent("download", { timeout: SOON }), press("Download my data")]);
    const lines = readFileSync(await file.path(), "utf8").trim().split("\n").map((line) => JSON.parse(line));
    const [alert] = lines.filter(({ type }) => type === "alert");
    ensure(alert?.model === "thresholds/3" && alert.read.length > 0 && alert.read[0].contribution > 0 && alert.resolved !== null, `the file says of alerts ${JSON.stringify(alert)}`);
    ensure(lines[0].type === "about" && lines.some(({ type }) => type === "fact") && lines.some(({ type, by }) => type === "access" && by === "tele") && lines.filter(({ type }) => type === "reading").length > 10, `the file has ${lines.length} lines`);
    await nothingRan(page);
    ensure((await page.evaluate(() => document.documentElement.dataset.bursts)) === undefined, "a patient's page sounds an alarm");
    await check(page, "home", complaints);
    await context.close();
  } finally {
    centre.stop();
  }
}

/** The smallest piece of text on screen that `words` fits, uncovered, where a finger would go, of `what` that is named the topmost; null:
 * none is seen. */
function seen(page, words, what) {
  return page.evaluate(([source, what]) => {
    const fits = new RegExp(source, "u");
    const found = [];
    for (const element of document.querySelectorAll(what)) {
      const text = element.innerText?.trim() ?? "";
      const box = element.getBoundingClientRect();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      if (!fits.test(text) || box.width < 2 || x < 0 || x > innerWidth || y < 0 || y > innerHeight) continue;
      const top = document.elementFromPoint(x, y);
      if (top !== null && (element.contains(top) || top.contains(element))) found.push({ x, y, text });
    }
    return found.sort((a, b) => (["a", "button"].includes(what) ? 0 : a.text.length - b.text.length) || a.y - b.y)[0] ?? null;
  }, [words.source, what]);
}

/** Looks for it, a screen at a time from where one is. */
async function look(page, words, what, kind = "a, button, h1, h2, h3, h4, p, span, li, dd, summary") {
  for (let screen = 0; screen < 12; screen += 1) {
    const found = await seen(page, words, kind);
    if (found !== null) return found;
    await page.mouse.wheel(0, 300);
    await page.waitForTimeout(80);
  }
  throw new Failure(`somebody new does not find ${what}`);
}

/** Somebody who has never seen it, with eyes and a finger alone: the sickest patient, why, and the answer, within a minute. */
async function walk(browser) {
  for (const viewport of [SIZES[0], SIZES[1]]) {
    const centre = await startCentre({ patients: 200, share: 0.3 });
    try {
      centre.raise(120, "oxygen_saturation_low");
      const context = await browser.newContext({ viewport, colorScheme: "light", locale: "en-GB", timezoneId: "Europe/Berlin" });
      await listen(context, complaints);
      const page = await context.newPage();
      const began = performance.now();
      await page.goto(centre.url);
      await until(page, "no row", SOON, () => document.querySelectorAll(".row .row-link").length > 0);
      await page.mouse.move(viewport.width / 2, viewport.height / 2);
      // The first name in the list, as one reads.
      const names = new RegExp(`^(${centre.people.map(({ name }) => name).join("|")})$`);
      const first = await look(page, names, "a patient", "a");
      const waiting = [...centre.alerts.values()].filter(({ priority, state }) => priority === 3 && state === 1);
      const longest = waiting.reduce((a, b) => (b.raisedUs < a.raisedUs ? b : a));
      const sickest = centre.people.find(({ id }) => id === longest.patient);
      ensure(first.text === sickest.name, `the first name is ${first.text}, and who waits longest at high priority is ${sickest.name}`);
      await page.mouse.click(first.x, first.y);
      await look(page, new RegExp(`^${sickest.name}$`), "where they are");
      const escaped = longest.summary.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
      await look(page, new RegExp(`^${escaped}$`), "what is wrong");
      await look(page, /^Why/, "why");
      await look(page, /limit \d/, "what was measured against which limit");
      await look(page, /^nobody would have been told at \d/, "what would have avoided it");
      await page.mouse.wheel(0, -5000);
      await page.waitForTimeout(100);
      // Other alerts of this person stand below it: the first button that comes into sight is to be of the one that was read.
      const button = await look(page, /^Acknowledge(?!d)/, "how to answer", "button");
      await page.mouse.click(button.x, button.y);
      await page.getByRole("dialog").waitFor({ timeout: SOON });
      const sure = await look(page, /^Acknowledge(?!d)/, "how to confirm", "button");
      await page.mouse.click(sure.x, sure.y);
      await page.getByRole("dialog").waitFor({ state: "hidden", timeout: SOON });
      await look(page, /^Acknowledged by/, "that it was done");
      const took = (performance.now() - began) / 1000;
      ensure(centre.alerts.get(longest.id).state === 2, "the centre knows of no answer");
      ensure(took < 60, `it took ${took.toFixed(0)} s`);
      tell(`somebody new, ${viewport.width} wide: the sickest, why, and the answer in ${took.toFixed(1)} s of the machine's`);
      await context.close();
    } finally {
      centre.stop();
    }
  }
}

/** Thousands of patients, each with new values every second: what the browser does meanwhile. */
async function thousands(browser) {
  const patients = Number(PATIENTS);
  const centre = await startCentre({ patients, share: 0.04 });
  try {
    const page = await open(browser, centre);
    await until(page, "not all patients came", 120_000, (n) => document.querySelector(".page-note").textContent === `${n} patients`, patients);
    tell(`${patients} patients are there`);
    const measure = (scrolls) =>
      page.evaluate(async ([scrolls, SPAN]) => {
        const frames = [];
        let before = performance.now();
        const end = before + SPAN;
        for (;;) {
          const now = await new Promise((done) => requestAnimationFrame(done));
          frames.push(now - before);
          before = now;
          if (now > end) break;
          if (scrolls) scrollBy(0, 120);
        }
        frames.sort((a, b) => a - b);
        const at = (share) => frames[Math.floor((frames.length - 1) * share)].toFixed(0);
        return `${frames.length} frames in ${SPAN / 1000} s: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`;
      }, [scrolls, SPAN]);
    const before = centre.sent;
    tell(`${patients} patients, still: ${await measure(false)}; ${centre.sent - before} states were sent meanwhile`);
    tell(`${patients} patients, scrolling: ${await measure(true)}`);
    const rows = await page.locator(".row").count();
    ensure(rows > 5 && rows < 200, `${rows} rows are in the document: they are to be made where they can be seen`);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await until(page, "the last row cannot be reached", SOON, (n) => document.querySelector(`.group.calm [aria-posinset="${n}"]`) !== null, Number(await page.locator(".group.calm .group-count").innerText()));
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize: heap } = await devtools.send("Runtime.getHeapUsage");
    tell(`elements ${await page.evaluate(() => document.querySelectorAll("*").length)}, rows ${rows}, script heap ${Math.round(heap / 1e6)} MB`);
    // Far down the list what waits is in sight all the same, and one key away.
    const counted = () => page.locator(".count.high").innerText();
    const was = await counted();
    centre.raise(patients - 2, "oxygen_saturation_low");
    await until(page, "a new alert is not counted", SOON, (words) => document.querySelector(".count.high").innerText !== words, was);
    ensure(await page.locator(".urgent-bar").isVisible(), "who waits is out of sight");
    await page.keyboard.press("n");
    await until(page, "the most urgent patient is not open", SOON, () => document.querySelector(".page.patient .alert-card.high.active") !== null);
    await check(page, "thousands", complaints);
    await page.context().close();
  } finally {
    centre.stop();
  }
}

/** What this rig must see if it happened: a script in a text that was taken as a page. */
async function negative(browser) {
  const context = await browser.newContext({ bypassCSP: true });
  await context.addInitScript(() => (window.marks = []));
  const page = await context.newPage();
  const centre = await startCentre({ patients: 2 });
  try {
    await page.goto(centre.url);
    await page.evaluate((html) => {
      document.body.insertAdjacentHTML("beforeend", html);
    }, ALL);
    await until(page, "no text of the corpus ran where texts are taken as pages", SOON, () => window.marks.length > 0);
    const second = await open(browser, centre);
    await second.evaluate((html) => {
      try {
        document.body.insertAdjacentHTML("beforeend", html);
      } catch {
        // Trusted types refuse it, and the policy says so.
      }
    }, ALL);
    let seen = false;
    try {
      await check(second, "control", complaints);
    } catch (error) {
      seen = error instanceof Failure;
    }
    ensure(seen, "a violation of the policy is not seen");
    ensure((await second.evaluate(() => window.marks.length)) === 0, "the page's policy lets a text run");
  } finally {
    centre.stop();
  }
  tell("a text that runs is seen, and one that the policy stops too");
}

async function main() {
  if (SHOTS !== "") mkdirSync(SHOTS, { recursive: true });
  shots.folder = SHOTS;
  const browser = await launch(CHROMIUM);
  try {
    everyFieldIsListed();
    if (NEGATIVE) await negative(browser);
    else {
      await night(browser);
      await home(browser);
      tell("a patient's own page: plain words, pause, a symptom, all data");
      wereFilled("night.mjs", filled);
      await walk(browser);
      await thousands(browser);
    }
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const words of complaints) console.error(words);
    for (const [n, page] of pages.entries()) {
      if (SHOTS !== "") await page.screenshot({ path: join(SHOTS, `night-failed-${n + 1}.png`) }).catch(() => {});
    }
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
