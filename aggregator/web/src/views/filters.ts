// What a viewer wants to see of the worklist: search, facets, and filters kept by name: in this browser for this viewer, or at the centre
// for a team.

import { fill, h, set, show, text } from "../dom.ts";
import { ALL, FACETS, facetsOf, keeping, keptOf, LONGEST, MOST, same, type Filter, type Named, type TeamFilter, type TeamFilters } from "../filter.ts";
import { readJson, writeJson } from "../prefs.ts";
import { texts } from "../texts.ts";
import { choose, field } from "./ask.ts";
import type { App } from "./parts.ts";

const words = texts.filters;
const shared = texts.together.filters;
const STORED = "filters";
/** What others of the team keep or forget is seen within this. */
const READ_EVERY = 60_000;

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
  #team: TeamFilters = { filters: [], teams: [] };
  #readAt = Number.NEGATIVE_INFINITY;
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
    show(this.#save, !same(this.filter, ALL) && (this.#named.length < MOST || this.#team.teams.length > 0));
    this.#read();
    set(this.#more, "class", same(this.filter, ALL) ? "filter-more" : "filter-more active");
    text(this.#summary, same(this.filter, ALL) ? words.filter : words.filterOn);
    const shape = () => `${person} ${JSON.stringify([this.filter, this.#team])} ${this.#named.length}`;
    if (shape() === this.#drawnFor) return;
    this.#named = keptOf(readJson(STORED), person);
    this.#drawnFor = shape();
    fill(this.#kept, ...this.#team.filters.map((one) => this.#teamButton(one)), ...this.#named.map((one) => this.#button(one)));
  }

  /** Now and then; where it cannot be read, what was known stays. */
  #read(): void {
    const now = performance.now();
    if (now - this.#readAt < READ_EVERY || this.#app.lineDown()) return;
    this.#readAt = now;
    this.#app.teamFilters.read().then(
      (team) => this.#take(team),
      () => {
        // Personal filters work without it.
      },
    );
  }

  #take(team: TeamFilters): void {
    this.#team = team;
    this.#changed();
  }

  #teamButton({ team, name, filter, by }: TeamFilter): HTMLElement {
    const on = same(filter, this.filter);
    const may = this.#team.teams.includes(team);
    return h(
      "span",
      { class: "kept-filter of-team" },
      h("button", { class: "button", type: "button", title: shared.by(team, by), "aria-pressed": String(on), onclick: () => this.#set(on ? ALL : filter) }, name, h("span", { class: "team-name" }, ` · ${team}`)),
      may && h("button", { class: "button quiet forget", type: "button", "aria-label": shared.forget(name, team), title: shared.forget(name, team), onclick: () => this.#askForget(team, name) }, "×"),
    );
  }

  #askForget(team: string, name: string): void {
    this.#app.ask.open({
      title: shared.forget(name, team),
      about: [shared.forgetAbout],
      fields: [],
      confirm: shared.forgetConfirm,
      run: async () => {
        this.#take(await this.#app.teamFilters.keep(team, name, []));
        return shared.forgotten(name, team);
      },
    });
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
    const { teams } = this.#team;
    const whose = choose([["", shared.mine], ...teams.map((team) => [`team ${team}`, shared.ofTeam(team)] as const)], "");
    this.#app.ask.open({
      title: words.saveTitle,
      about: [teams.length > 0 ? shared.about : words.saveAbout],
      fields: [field(words.name, name), ...(teams.length > 0 ? [field(shared.whose, whose)] : [])],
      confirm: words.save,
      run: async () => {
        const called = name.value.trim();
        if (whose.value !== "") {
          const team = whose.value.slice("team ".length);
          this.#take(await this.#app.teamFilters.keep(team, called, facetsOf(this.filter)));
          return shared.kept(called, team);
        }
        if (this.#named.length >= MOST && !this.#named.some((one) => one.name === called)) throw new Error(shared.full(MOST));
        this.#keep([...this.#named.filter((one) => one.name !== called), { name: called, filter: this.filter }]);
        return words.saved(called);
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
