// What people know about a patient that no sensor measures, what it changes in rules and models, and writing it down.

import { fill, h, show, text } from "../dom.ts";
import type { PatientFact, Twin } from "../model.ts";
import { NOTE } from "../notes.ts";
import { mayAct, mayRecord } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { choose, field } from "./ask.ts";
import type { App, NewFact } from "./parts.ts";

const words = texts.facts;

/** Wire numbers of `vitaltwin.v1.FactKind`. */
const TIME_ZONE = 13;
const LIMIT = 14;
const SKIN_TONE = 15;
const KINDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, TIME_ZONE, LIMIT, SKIN_TONE] as const;
/** Characters, as the centre takes them. */
const LABEL = 200;
const TEXT = 1000;

export class FactsPanel {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #patient: string;
  readonly #changed: () => void;
  readonly #list = h("ul", { class: "facts-list" });
  readonly #none = h("p", { class: "muted" }, words.none);
  readonly #failed = h("p", { class: "notice", role: "status", hidden: true });
  #facts: readonly PatientFact[] = [];
  #drawn = "";

  /** `changed`: the facts are known, or others than before. */
  constructor(app: App, patient: string, changed: () => void) {
    this.#app = app;
    this.#patient = patient;
    this.#changed = changed;
    const add = mayAct(app.state) && h("button", { class: "button", type: "button", onclick: () => this.#ask() }, words.add);
    this.root = h("section", { class: "panel facts-panel", "aria-labelledby": "panel-facts" }, h("h2", { id: "panel-facts" }, words.title), this.#none, this.#failed, this.#list, add);
    app.facts(patient).then(
      (facts) => this.#take(facts),
      (error: unknown) => {
        text(this.#failed, words.failed(error instanceof Error ? error.message : String(error)));
        show(this.#failed, true);
      },
    );
  }

  /** The patient's time zone, where somebody wrote it down and this browser has a clock for it. */
  get zone(): string | null {
    const now = this.#app.now();
    const found = this.#facts.find((fact) => fact.kind === TIME_ZONE && fact.from <= now && (fact.to === null || fact.to > now));
    return found && time.isZone(found.text) ? found.text : null;
  }

  /** All that is known, notes at the trends among it: those are listed there. */
  get all(): readonly PatientFact[] {
    return this.#facts;
  }

  async record(fact: NewFact): Promise<void> {
    this.#take(await this.#app.recordFact(this.#patient, fact));
  }

  async retract(id: string): Promise<void> {
    this.#take(await this.#app.retractFact(this.#patient, id));
  }

  update(twin: Twin | null): void {
    const influences = twin?.influences ?? [];
    const facts = this.#facts.filter(({ kind }) => kind !== NOTE);
    const shape = JSON.stringify([influences, facts]);
    if (shape === this.#drawn) return;
    this.#drawn = shape;
    show(this.#none, facts.length === 0);
    const ordered = facts.sort((a, b) => Number(a.to !== null) - Number(b.to !== null) || b.from - a.from);
    fill(this.#list, ...ordered.map((fact) => this.#entry(fact, influences.filter((one) => one.fact === fact.id).map((one) => one.effect))));
  }

  #entry(fact: PatientFact, effects: readonly string[]): HTMLElement {
    const value = fact.value === null ? "" : ` ${time.number(fact.value, fact.value % 1 === 0 ? 0 : 1)} ${fact.unit}`;
    const over = fact.to !== null && fact.to <= this.#app.now();
    const span = fact.to === null ? words.since(time.full(fact.from)) : words.fromTo(time.full(fact.from), time.full(fact.to));
    return h(
      "li",
      { class: over ? "fact-entry over" : "fact-entry" },
      h("p", {}, h("span", { class: "fact-kind" }, words.kinds[fact.kind] ?? words.other), " ", h("strong", {}, fact.label || fact.code), value),
      fact.text !== "" && h("p", { class: "fact-text" }, fact.text),
      h("p", { class: "hint" }, `${span} · ${fact.recordedBy}`),
      ...effects.map((effect) => h("p", { class: "fact-effect", lang: "en" }, words.changes(effect))),
      mayRecord(this.#app.state, fact.kind) && h("button", { class: "button quiet small", type: "button", onclick: () => this.#askRetract(fact) }, words.retract, h("span", { class: "sr" }, `: ${fact.label || fact.text || fact.code}`)),
    );
  }

  #ask(): void {
    const kind = choose(KINDS.filter((one) => mayRecord(this.#app.state, one)).map((one) => [String(one), words.kinds[one] ?? words.other]), "1");
    const label = h("input", { type: "text", maxlength: LABEL, autocomplete: "off" });
    const code = h("input", { type: "text", maxlength: LABEL, autocomplete: "off" });
    const value = h("input", { type: "number", step: "any" });
    const unit = h("input", { type: "text", maxlength: 40, autocomplete: "off" });
    const note = h("textarea", { rows: 2, maxlength: TEXT });
    this.#app.ask.open({
      title: words.add,
      about: [words.addAbout],
      fields: [field(words.kind, kind), field(words.label, label), field(words.code, code, words.codeHint), field(words.value, value), field(words.unit, unit), field(words.text, note, words.textHint)],
      confirm: words.save,
      run: async () => {
        const chosen = Number(kind.value);
        const fact = {
          id: crypto.randomUUID(),
          kind: chosen,
          code: code.value.trim(),
          label: label.value.trim(),
          value: value.value === "" ? null : Number(value.value),
          unit: unit.value.trim(),
          text: note.value.trim(),
          from: this.#app.now(),
          to: null,
        };
        await this.record(fact);
        return words.saved;
      },
    });
  }

  #askRetract(fact: PatientFact): void {
    this.#app.ask.open({
      title: words.retract,
      about: [fact.label || fact.text || fact.code, words.retractAbout],
      fields: [],
      confirm: words.retract,
      run: async () => {
        await this.retract(fact.id);
        return words.retracted;
      },
    });
  }

  #take(facts: readonly PatientFact[]): void {
    this.#facts = facts;
    show(this.#failed, false);
    this.#changed();
  }
}
