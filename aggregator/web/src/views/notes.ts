// Notes at the trends: listed with number, time and author for everybody who reads, and written down here.

import { fill, h, set, show, text } from "../dom.ts";
import type { Kind } from "../model.ts";
import { NOTE, notesOf, within, type Note } from "../notes.ts";
import { mayRecord } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { choose, field } from "./ask.ts";
import type { FactsPanel } from "./facts.ts";
import type { App } from "./parts.ts";

const words = texts.together.notes;
const MINUTE = 60_000;
/** Characters, as the centre takes them. */
const TEXT = 1000;
const LASTS = [0, 5, 15, 60, 6 * 60] as const;

/** What the trends show just now. */
export interface Shown {
  readonly from: number;
  readonly to: number;
  /** The moment whose knowledge is shown; null: now. */
  readonly known: number | null;
  readonly kinds: readonly Kind[];
}

export class Notes {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #facts: FactsPanel;
  readonly #list = h("ol", { class: "notes-list" });
  readonly #elsewhere = h("p", { class: "hint", hidden: true });
  readonly #add: HTMLButtonElement;
  #shown: Shown = { from: 0, to: 0, known: null, kinds: [] };
  #notes: readonly Note[] = [];
  #drawn = "";

  constructor(app: App, facts: FactsPanel) {
    this.#app = app;
    this.#facts = facts;
    this.#add = h("button", { class: "button", type: "button", onclick: () => this.#ask() }, words.add);
    this.root = h("section", { class: "notes", "aria-labelledby": "trend-notes" }, h("div", { class: "notes-head" }, h("h3", { id: "trend-notes" }, words.title), this.#add), this.#list, this.#elsewhere);
  }

  update(shown: Shown): void {
    this.#shown = shown;
    this.#notes = notesOf(this.#facts.all, shown.known);
    const here = within(this.#notes, shown.from, shown.to);
    const may = mayRecord(this.#app.state, NOTE) && shown.known === null;
    show(this.#add, may);
    show(this.root, may || this.#notes.length > 0);
    const shape = JSON.stringify([here, may, time.zone(), this.#notes.length]);
    if (shape === this.#drawn) return;
    this.#drawn = shape;
    show(this.#list, here.length > 0);
    fill(this.#list, ...here.map((note) => this.#entry(note, may)));
    show(this.#elsewhere, this.#notes.length > here.length);
    text(this.#elsewhere, words.elsewhere(this.#notes.length - here.length));
  }

  /** Those of one trend that are in sight. */
  of(kind: Kind): Note[] {
    return within(this.#notes, this.#shown.from, this.#shown.to, kind);
  }

  #entry(note: Note, may: boolean): HTMLElement {
    const when = note.to === null ? time.full(note.from) : words.fromTo(time.full(note.from), time.full(note.to));
    const about = note.kind === null ? "" : ` · ${texts.kind(note.kind)}`;
    const back = may && h("button", { class: "button quiet small", type: "button", onclick: () => this.#askBack(note) }, texts.facts.retract, h("span", { class: "sr" }, `: ${words.named(note.number)}`));
    const entry = h("li", {}, h("p", { class: "note-text" }, note.text), h("p", { class: "hint" }, `${when}${about} · ${note.by}`), back);
    set(entry, "value", note.number);
    return entry;
  }

  #ask(): void {
    const { from, kinds } = this.#shown;
    const now = this.#app.now();
    const slider = h("input", { type: "range", step: 1 });
    set(slider, "min", Math.round((from - now) / MINUTE));
    set(slider, "max", 0);
    slider.value = "0";
    const chosen = () => now + Number(slider.value) * MINUTE;
    const at = h("output", { class: "known-at" });
    const say = () => {
      text(at, time.full(chosen()));
      set(slider, "aria-valuetext", time.full(chosen()));
    };
    slider.addEventListener("input", say);
    say();
    const lasts = choose(LASTS.map((minutes) => [String(minutes), minutes === 0 ? words.moment : time.span(minutes * MINUTE)]), "0");
    const about = choose([["", words.all], ...kinds.map((kind) => [String(kind), texts.kind(kind)] as const)], "");
    const said = h("textarea", { rows: 3, maxlength: TEXT, required: true });
    const when = field(words.when, slider);
    when.append(at);
    this.#app.ask.open({
      title: words.add,
      about: [words.about],
      fields: [field(texts.facts.text, said), when, field(words.lasts, lasts), field(words.kind, about)],
      confirm: texts.facts.save,
      run: async () => {
        const minutes = Number(lasts.value);
        await this.#facts.record({
          id: crypto.randomUUID(),
          kind: NOTE,
          code: "",
          label: "",
          value: about.value === "" ? null : Number(about.value),
          unit: "",
          text: said.value.trim(),
          from: chosen(),
          to: minutes === 0 ? null : chosen() + minutes * MINUTE,
        });
        return texts.facts.saved;
      },
    });
  }

  #askBack(note: Note): void {
    this.#app.ask.open({
      title: texts.facts.retract,
      about: [note.text],
      fields: [],
      confirm: texts.facts.retract,
      run: async () => {
        await this.#facts.retract(note.id);
        return texts.facts.retracted;
      },
    });
  }
}
