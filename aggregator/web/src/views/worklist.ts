// Who needs someone, in order. Every open alert of a patient is in that patient's row: nothing is folded away. Rows that
// are far from the screen are a name and their reasons; thousands of them cost little.

import { neverHidden, passes, type Seen } from "../filter.ts";
import { h, reconcile, show, text } from "../dom.ts";
import { allStale, displayName, worklistMemo, type Group, type Row } from "../store.ts";
import { texts } from "../texts.ts";
import { FilterBar } from "./filters.ts";
import type { App, View } from "./parts.ts";
import { RowView } from "./row.ts";

const words = texts.worklist;
const GROUPS: readonly Group[] = ["waiting", "taken", "calm"];

interface Section {
  readonly root: HTMLElement;
  readonly count: HTMLElement;
  readonly list: HTMLElement;
  readonly views: Map<string, RowView>;
}

export class WorklistView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #count = h("p", { class: "page-note" });
  readonly #empty = h("div", { class: "sheet empty", hidden: true }, h("h2", {}, words.emptyTitle), h("p", {}, words.empty));
  readonly #loading = h("p", { class: "loading" }, words.loading);
  readonly #nobody = h("p", { class: "muted", hidden: true }, words.nobodyPasses);
  readonly #kept = h("p", { class: "notice", role: "status", hidden: true });
  readonly #filters: FilterBar;
  readonly #rows = worklistMemo();
  readonly #groups = new Map<Group, Section>();
  readonly #views = new WeakMap<Element, RowView>();
  readonly #near = new Set<RowView>();
  readonly #observer = new IntersectionObserver((entries) => this.#moved(entries), { rootMargin: "500px" });
  #current = new Map<string, Row>();
  #placed: readonly Row[] | null = null;

  constructor(app: App) {
    this.#app = app;
    this.#filters = new FilterBar(app, () => this.update());
    this.root = h("div", { class: "page" }, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, words.title), this.#count), this.#filters.root, this.#kept);
    this.root.append(this.#loading, this.#empty, this.#nobody);
    for (const group of GROUPS) {
      const count = h("span", { class: "group-count" });
      const list = h("ul", { class: "rows" });
      const root = h(
        "section",
        { class: `group ${group}`, hidden: true, "aria-labelledby": `group-${group}` },
        h(
          "div",
          { class: "group-head" },
          h("h2", { id: `group-${group}` }, words.groups[group], " ", count),
          h("span", { class: "group-hint" }, words.groupHints[group]),
        ),
        columns(),
        list,
      );
      this.#groups.set(group, { root, count, list, views: new Map() });
      this.root.append(root);
    }
  }

  update(): void {
    const { complete } = this.#app.state;
    const all = this.#rows(this.#app.state);
    show(this.#loading, all.length === 0 && !(complete.twins && complete.alerts));
    show(this.#empty, all.length === 0 && complete.twins && complete.alerts);
    this.#filters.update();
    const rows = this.#filtered(all);
    text(this.#count, all.length === 0 ? "" : rows.length === all.length ? words.patients(all.length) : words.patientsOf(rows.length, all.length));
    show(this.#nobody, rows.length === 0 && all.length > 0);
    if (rows !== this.#placed) this.#place(rows);
    for (const view of this.#near) {
      const row = this.#current.get(view.patient);
      if (row) view.update(row);
    }
  }

  destroy(): void {
    this.#observer.disconnect();
    for (const view of this.#near) view.destroy();
  }

  /** The search field, for the keyboard. */
  search(): void {
    this.#filters.search();
  }

  /** What the filter lets through, and what no filter hides. The same object while nothing changed. */
  #filtered(all: readonly Row[]): readonly Row[] {
    const filters = this.#filters;
    if (!filters.active) {
      show(this.#kept, false);
      return all;
    }
    const { state } = this.#app;
    const now = this.#app.now();
    const down = this.#app.lineDown();
    const me = state.session?.person ?? "";
    let kept = 0;
    const rows = all.filter((row) => {
      const seen: Seen = { row, name: displayName(state, row.patient), stale: allStale(state.twins.get(row.patient) ?? null, now, down) };
      if (passes(seen, filters.filter, filters.words, me)) return true;
      if (!neverHidden(row)) return false;
      kept += 1;
      return true;
    });
    show(this.#kept, kept > 0);
    text(this.#kept, words.kept(kept));
    const before = this.#placed;
    return before !== null && before.length === rows.length && before.every((row, i) => row === rows[i]) ? before : rows;
  }

  #place(rows: readonly Row[]): void {
    this.#placed = rows;
    this.#current = new Map(rows.map((row) => [row.patient, row]));
    for (const [group, parts] of this.#groups) {
      const members = rows.filter((row) => row.group === group);
      show(parts.root, members.length > 0);
      text(parts.count, String(members.length));
      reconcile(
        parts.list,
        parts.views,
        members,
        (row) => row.patient,
        (row) => this.#make(row.patient),
        (view, row) => view.place(row),
      );
    }
  }

  #moved(entries: readonly IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const view = this.#views.get(entry.target);
      if (!view) continue;
      // The focus is never taken away with a row's cells.
      const near = entry.isIntersecting || (entry.target.isConnected && entry.target.contains(document.activeElement));
      view.see(near);
      if (near) this.#near.add(view);
      else this.#near.delete(view);
    }
  }

  #make(patient: string): RowView {
    const view = new RowView(patient, this.#app);
    this.#views.set(view.root, view);
    this.#observer.observe(view.root);
    return view;
  }
}

/** Names above the columns for the eye; in the rows they are spoken. */
function columns(): HTMLElement {
  const names = words.columns;
  const cells = [names.patient, names.since, names.vital, names.forecast, names.news2, names.data, names.next];
  return h("div", { class: "row-columns", "aria-hidden": "true" }, h("span"), ...cells.map((name) => h("span", {}, name)));
}
