// Who needs someone, in order. Every open alert of a patient is in that patient's row: nothing is folded away. Thousands
// of rows cost what can be seen of them.

import { neverHidden, passes, type Seen } from "../filter.ts";
import { h, show, text } from "../dom.ts";
import { allStale, displayName, worklistMemo, type Group, type Row } from "../store.ts";
import { texts } from "../texts.ts";
import { BlockList, Rows } from "./blocks.ts";
import { FilterBar } from "./filters.ts";
import type { App, View } from "./parts.ts";

const words = texts.worklist;
const NOBODY: readonly Row[] = [];
const GROUPS: readonly Group[] = ["waiting", "taken", "calm"];

interface Section {
  readonly root: HTMLElement;
  readonly count: HTMLElement;
  readonly list: BlockList;
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
  readonly #ordered = worklistMemo();
  readonly #rows: Rows;
  readonly #groups = new Map<Group, Section>();
  #placed: readonly Row[] | null = null;

  constructor(app: App) {
    this.#app = app;
    this.#rows = new Rows(app);
    this.#filters = new FilterBar(app, () => this.update());
    this.root = h("div", { class: "page worklist-page" }, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, words.title), this.#count), this.#filters.root, this.#kept);
    this.root.append(this.#loading, this.#empty, this.#nobody);
    for (const group of GROUPS) {
      const count = h("span", { class: "group-count" });
      const list = new BlockList(this.#rows);
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
        list.root,
      );
      this.#groups.set(group, { root, count, list });
      this.root.append(root);
    }
  }

  update(): void {
    const { complete } = this.#app.state;
    // Until all are known the order would change under whoever looks, and the first row would not be who needs someone most.
    const known = complete.twins && complete.alerts;
    const all = known ? this.#ordered(this.#app.state) : NOBODY;
    show(this.#loading, !known);
    show(this.#empty, known && all.length === 0);
    this.#filters.update();
    const rows = this.#filtered(all);
    text(this.#count, all.length === 0 ? "" : rows.length === all.length ? words.patients(all.length) : words.patientsOf(rows.length, all.length));
    show(this.#nobody, rows.length === 0 && all.length > 0);
    if (rows !== this.#placed) this.#place(rows);
    else for (const { list } of this.#groups.values()) list.refresh();
  }

  destroy(): void {
    this.#rows.destroy();
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
    const focused = document.activeElement;
    for (const [group, { root, count, list }] of this.#groups) {
      const members = rows.filter((row) => row.group === group);
      show(root, members.length > 0);
      text(count, String(members.length));
      list.place(members);
    }
    this.#rows.prune();
    // A row that went to another group or block took the focus along.
    if (focused instanceof HTMLElement && focused !== document.activeElement && this.root.contains(focused)) focused.focus({ preventScroll: true });
  }
}

/** Names above the columns for the eye; in the rows they are spoken. */
function columns(): HTMLElement {
  const names = words.columns;
  const cells = [names.patient, names.since, names.vital, names.forecast, names.news2, names.data, names.next];
  return h("div", { class: "row-columns", "aria-hidden": "true" }, h("span"), ...cells.map((name) => h("span", {}, name)));
}
