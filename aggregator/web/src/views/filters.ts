// What a viewer wants to see of the worklist: search, facets, and filters kept by name in this browser for this viewer.

import { fill, h, set, show, text } from "../dom.ts";
import { ALL, FACETS, keeping, keptOf, LONGEST, MOST, same, type Filter, type Named } from "../filter.ts";
import { readJson, writeJson } from "../prefs.ts";
import { texts } from "../texts.ts";
import { choose, field } from "./ask.ts";
import type { App } from "./parts.ts";

const words = texts.filters;
const STORED = "filters";

export class FilterBar {
  readonly root: HTMLElement;
  filter: Filter = ALL;
  words = "";
  readonly #app: App;
  readonly #changed: () => void;
  readonly #search = h("input", { type: "search", class: "search", autocomplete: "off", spellcheck: "false", placeholder: words.search, "aria-label": words.search });
  readonly #selects = new Map<keyof Filter, HTMLSelectElement>();
  readonly #kept = h("div", { class: "kept-filters", role: "group", "aria-label": words.kept });
  readonly #more = h("details", { class: "filter-more" });
  readonly #summary = h("summary", {}, words.filter);
  readonly #save = h("button", { class: "button", type: "button" }, words.save);
  readonly #clear = h("button", { class: "button quiet", type: "button" }, words.clear);
  #named: readonly Named[] = [];
  #drawnFor = "";

  constructor(app: App, changed: () => void) {
    this.#app = app;
    this.#changed = changed;
    this.#search.addEventListener("input", () => {
      this.words = this.#search.value;
      changed();
    });
    const facets = (Object.keys(FACETS) as (keyof Filter)[]).map((name) => {
      const facet = words.facets[name];
      const select = choose(FACETS[name].map((word) => [word, facet.words[word as keyof typeof facet.words] ?? word]), "any");
      select.addEventListener("change", () => this.#set({ ...this.filter, [name]: select.value } as Filter));
      this.#selects.set(name, select);
      return field(facet.name, select);
    });
    this.#save.addEventListener("click", () => this.#askName());
    this.#clear.addEventListener("click", () => {
      this.#search.value = "";
      this.words = "";
      this.#set(ALL);
    });
    this.#more.append(this.#summary, h("div", { class: "facets" }, ...facets, this.#save));
    this.root = h("div", { class: "filters", role: "search" }, this.#search, this.#kept, this.#more, this.#clear);
  }

  get active(): boolean {
    return this.words.trim() !== "" || !same(this.filter, ALL);
  }

  search(): void {
    this.#search.focus();
    this.#search.select();
  }

  update(): void {
    const person = this.#me;
    show(this.#clear, this.active);
    show(this.#save, !same(this.filter, ALL) && this.#named.length < MOST);
    set(this.#more, "class", same(this.filter, ALL) ? "filter-more" : "filter-more active");
    text(this.#summary, same(this.filter, ALL) ? words.filter : words.filterOn);
    const now = `${person} ${JSON.stringify(this.filter)} ${this.#named.length}`;
    if (now === this.#drawnFor) return;
    this.#named = keptOf(readJson(STORED), person);
    this.#drawnFor = `${person} ${JSON.stringify(this.filter)} ${this.#named.length}`;
    fill(this.#kept, ...this.#named.map((one) => this.#button(one)));
  }

  #button({ name, filter }: Named): HTMLElement {
    const on = same(filter, this.filter);
    return h(
      "span",
      { class: "kept-filter" },
      h("button", { class: "button", type: "button", "aria-pressed": String(on), onclick: () => this.#set(on ? ALL : filter) }, name),
      h("button", { class: "button quiet forget", type: "button", "aria-label": words.forget(name), title: words.forget(name), onclick: () => this.#keep(this.#named.filter((one) => one.name !== name)) }, "×"),
    );
  }

  #set(filter: Filter): void {
    this.filter = filter;
    for (const [name, select] of this.#selects) select.value = filter[name];
    this.#changed();
  }

  #askName(): void {
    const name = h("input", { type: "text", maxlength: LONGEST, required: true, autocomplete: "off" });
    this.#app.ask.open({
      title: words.saveTitle,
      about: [words.saveAbout],
      fields: [field(words.name, name)],
      confirm: words.save,
      run: () => {
        const called = name.value.trim();
        this.#keep([...this.#named.filter((one) => one.name !== called), { name: called, filter: this.filter }]);
        return Promise.resolve(words.saved(called));
      },
    });
  }

  #keep(mine: readonly Named[]): void {
    writeJson(STORED, keeping(readJson(STORED), this.#me, mine));
    this.#drawnFor = "";
    this.#changed();
  }

  get #me(): string {
    return this.#app.state.session?.person ?? "";
  }
}
