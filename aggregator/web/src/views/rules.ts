// The rules for everybody, as a supervisor works with them: what is in force, a document to edit, what it would have done on
// recorded days, and what stands against it. The centre checks, tries and refuses; this page shows what it says.

import { fill, h, set, show, text } from "../dom.ts";
import type { RuleBook, RuleSet, Silenced, Trial } from "../model.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { field } from "./ask.ts";
import type { App, View } from "./parts.ts";
import { ScoreboardSection } from "./scoreboard.ts";

const words = texts.rules;
/** Characters of the reason, as the centre takes them. */
const REASON = 500;

export class RulesView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #force = h("p", { class: "page-note" });
  readonly #document = h("textarea", { class: "rules-text", rows: 22, spellcheck: false, wrap: "off" });
  readonly #said = h("p", { class: "notice", role: "status", hidden: true });
  readonly #failed = h("p", { class: "notice bad", role: "alert", hidden: true });
  readonly #trial = h("section", { class: "group", "aria-labelledby": "rules-trial", hidden: true });
  readonly #sets = h("ol", { class: "rules-sets" });
  readonly #buttons: readonly HTMLButtonElement[];
  #book: RuleBook | null = null;

  constructor(app: App) {
    this.#app = app;
    const button = (label: string, act: () => void, main = false) => h("button", { class: main ? "button primary" : "button", type: "button", onclick: act }, label);
    this.#buttons = [
      button(words.check, () => void this.#do(words.checking, () => this.#check())),
      button(words.shadow, () => void this.#do(words.shadowing, () => this.#shadow()), true),
      button(words.activate, () => this.#askActivate()),
      button(words.back, () => this.#askBack()),
    ];
    this.root = h(
      "div",
      { class: "page rules" },
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, words.title), this.#force),
      h("p", { class: "muted" }, words.about),
      field(words.document, this.#document, words.documentHint),
      h("div", { class: "buttons" }, ...this.#buttons),
      this.#said,
      this.#failed,
      this.#trial,
      h("section", { class: "group", "aria-labelledby": "rules-sets" }, h("h2", { id: "rules-sets" }, words.sets), this.#sets),
      new ScoreboardSection(app, null).root,
    );
    void this.#do(words.loading, async () => {
      await this.#load();
      return "";
    });
  }

  update(): void {}

  async #load(): Promise<void> {
    const book = await this.#app.rules.read();
    const [force] = book.sets;
    if (this.#book === null && force) this.#document.value = force.document;
    this.#book = book;
    if (force) text(this.#force, words.force(force.hash.slice(0, 12), since(force)));
    fill(this.#sets, ...book.sets.map((one) => h("li", {}, h("code", {}, one.hash.slice(0, 12)), ` ${since(one)}`, one.reason !== "" && h("p", { class: "hint" }, one.reason))));
    // More than the built-in one: there is a way back.
    this.#buttons[3]!.disabled = book.sets.length < 2;
    this.#showTrial(book.trial);
  }

  async #check(): Promise<string> {
    const { hash, inForce } = await this.#app.rules.check(this.#document.value);
    return inForce ? words.inForce : words.fine(hash.slice(0, 12));
  }

  async #shadow(): Promise<string> {
    const trial = await this.#app.rules.shadow(this.#document.value);
    this.#showTrial(trial);
    return trial.refusals.length === 0 ? words.tried : words.triedAndRefused(trial.refusals.length);
  }

  #askActivate(): void {
    const document = this.#document.value;
    this.#ask(words.activate, words.activateAbout, (reason) => this.#app.rules.activate(document, reason));
  }

  #askBack(): void {
    this.#ask(words.back, words.backAbout, (reason) => this.#app.rules.back(reason));
  }

  #ask(title: string, about: string, act: (reason: string) => Promise<RuleSet>): void {
    const reason = h("input", { type: "text", maxlength: REASON, required: true, autocomplete: "off" });
    this.#app.ask.open({
      title,
      about: [about],
      fields: [field(words.reason, reason, words.reasonHint)],
      confirm: title,
      run: async () => {
        const now = await act(reason.value.trim());
        this.#document.value = now.document;
        await this.#load();
        return words.active(now.hash.slice(0, 12));
      },
    });
  }

  #showTrial(trial: Trial | null): void {
    show(this.#trial, trial !== null);
    if (trial === null) return;
    const { days } = trial;
    const daily = (count: number) => (days > 0 ? time.number(count / days, 2) : "–");
    const row = (name: string, before: number, after: number) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, daily(before)), h("td", {}, daily(after)));
    const burden = table(
      words.burden,
      [words.what, words.before, words.after],
      [
        row(words.all, trial.alerts.before, trial.alerts.after),
        row(words.night, trial.night.before, trial.night.after),
        ...trial.burdens.map((one) => row(`${texts.condition(one.condition)}, ${texts.priority(one.priority)}`, one.before, one.after)),
      ],
    );
    const missed = trial.missed.map((one) => h("li", {}, words.missedOne(one.alerts, texts.condition(one.condition), texts.priority(one.priority), one.acknowledged)));
    const groups = trial.groups.map((one) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, `${words.of[one.of] ?? one.of}: ${one.group}`),
        h("td", {}, String(one.patients)),
        h("td", {}, time.number(one.before, 2)),
        h("td", {}, time.number(one.after, 2)),
        h("td", {}, words.interval(time.number(one.change, 2), time.number(one.low, 2), time.number(one.high, 2))),
      ),
    );
    fill(
      this.#trial,
      h("h2", { id: "rules-trial" }, words.trial(trial.hash.slice(0, 12))),
      h("p", { class: "muted" }, words.trialAbout(trial.patients, time.number(days, 1), time.full(trial.from), time.full(trial.to))),
      trial.refusals.length === 0
        ? h("p", { class: "notice" }, words.nothingAgainst)
        : h("div", { class: "notice bad" }, h("p", {}, words.against), h("ul", { lang: "en" }, ...trial.refusals.map((one) => h("li", {}, one)))),
      burden,
      h("h3", {}, words.missed),
      missed.length === 0 ? h("p", { class: "muted" }, words.missedNone) : h("ul", {}, ...missed),
      trial.quieter.length > 0 && h("p", { class: "hint" }, words.quieter(trial.quieter.map((one) => texts.condition(one)).join(", "))),
      trial.silenced.length > 0 && h("div", {}, h("h3", {}, words.silenced), ...trial.silenced.map(silenced)),
      groups.length > 0 && table(words.groups, [words.group, words.patients, words.before, words.after, words.change], groups),
    );
  }

  async #do(busy: string, act: () => Promise<string>): Promise<void> {
    this.#tell(busy, "");
    set(this.root, "aria-busy", "true");
    for (const button of this.#buttons) button.disabled = true;
    let [said, failed] = ["", ""];
    try {
      said = await act();
    } catch (error) {
      failed = error instanceof Error ? error.message : String(error);
    }
    set(this.root, "aria-busy", null);
    for (const [place, button] of this.#buttons.entries()) button.disabled = place === 3 && (this.#book?.sets.length ?? 0) < 2;
    this.#tell(said, failed);
  }

  #tell(said: string, failed: string): void {
    text(this.#said, said);
    show(this.#said, said !== "");
    text(this.#failed, failed);
    show(this.#failed, failed !== "");
  }
}

/** A line about a model that holds for some people: whose decision, why, what they miss, and which groups do. */
function silenced(one: Silenced): HTMLElement {
  const missed = one.missed.map(({ alerts, priority }) => `${alerts} × ${texts.priority(priority)}`);
  return h(
    "div",
    {},
    h("p", {}, words.silencedFor(texts.condition(one.condition), one.standing, one.cohort)),
    h("p", { class: "hint" }, one.by === "" ? words.silencedByNobody : words.silencedBy(one.by, one.why)),
    h("p", {}, missed.length === 0 ? words.missedNone : words.silencedMissed(missed.join(", "))),
    one.uncounted && h("p", { class: "hint" }, words.silencedUncounted),
    one.groups.length > 0 &&
      h("ul", {}, ...one.groups.map(({ of, group, alerts, patients, days }) => h("li", {}, words.silencedGroup(`${words.of[of] ?? of}: ${group}`, alerts, patients, time.number(days, 1))))),
  );
}

function since(one: RuleSet): string {
  return one.since === null ? words.builtIn : words.since(time.full(one.since), one.by);
}

/** Wide ones scroll within themselves, also by key. */
function table(caption: string, heads: readonly string[], rows: readonly HTMLElement[]): HTMLElement {
  const head = h("thead", {}, h("tr", {}, ...heads.map((one) => h("th", { scope: "col" }, one))));
  return h("div", { class: "rules-table", tabindex: 0, role: "region", "aria-label": caption }, h("table", {}, h("caption", {}, caption), head, h("tbody", {}, ...rows)));
}
