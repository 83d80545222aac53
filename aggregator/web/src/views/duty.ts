// Who is on duty in one team: now and then, what is to be taken over, and what is wrong with the roster. Drawn anew only when
// something changed, so that the focus stays where it is.

import { fill, h } from "../dom.ts";
import type { Roster, Turn } from "../model.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import type { App } from "./parts.ts";

const words = texts.roster;
let panels = 0;

export class DutyPanel {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #body = h("div", { class: "duty" });
  #drawn = "";

  constructor(app: App, team: string) {
    this.#app = app;
    const id = `duty-${(panels += 1)}`;
    this.root = h("section", { class: "group", "aria-labelledby": id }, h("h2", { id }, team), this.#body);
  }

  update(roster: Roster): void {
    const drawn = JSON.stringify(roster);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    if (roster.document === "") {
      fill(this.#body, h("p", { class: "muted" }, words.none));
      return;
    }
    if (roster.unread !== "") {
      fill(this.#body, h("div", { class: "notice bad" }, h("p", {}, words.unread), h("p", { lang: "en" }, roster.unread)));
      return;
    }
    const rows = roster.now.flatMap((turn) => {
      const next = roster.next.find((one) => one.duty === turn.duty);
      return [this.#row(roster.team, turn, words.now), ...(next ? [this.#row(roster.team, next, words.then)] : [])];
    });
    const heads = [words.columns, words.from, words.until, words.people, words.takeover];
    const table = h(
      "div",
      { class: "rules-table", tabindex: 0, role: "region", "aria-label": `${words.title}: ${roster.team}` },
      h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((one) => h("th", { scope: "col" }, one)))), h("tbody", {}, ...rows)),
    );
    const gaps = joined(roster.gaps).map((turn) => h("li", {}, words.gap(turn.duty, time.full(turn.from), time.full(turn.until))));
    const remarks = roster.remarks.map((one) => h("li", {}, one));
    fill(
      this.#body,
      table,
      gaps.length > 0 && h("div", { class: "notice bad" }, h("p", {}, words.gaps), h("ul", {}, ...gaps)),
      remarks.length > 0 && h("div", { class: "notice" }, h("p", {}, words.remarks), h("ul", { lang: "en" }, ...remarks)),
      roster.since !== null && h("p", { class: "hint" }, words.since(time.full(roster.since), roster.by)),
    );
  }

  #row(team: string, turn: Turn, when: string): HTMLElement {
    const name = (one: string) => (turn.able.includes(one) ? one : words.cannot(one));
    const people = turn.people.length === 0 ? words.nobody : turn.people.map(name).join(", ");
    return h(
      "tr",
      { class: turn.able.length === 0 ? "nobody" : "" },
      h("th", { scope: "row" }, `${words.duty(turn.duty)}, ${when}`),
      h("td", {}, time.full(turn.from)),
      h("td", {}, time.full(turn.until)),
      h("td", {}, h("strong", {}, people), words.shift(turn.shift)),
      h("td", {}, ...this.#takeover(team, turn)),
    );
  }

  #takeover(team: string, turn: Turn): (Node | string)[] {
    if (turn.takenBy !== "") return [words.taken(turn.takenBy, turn.taken === null ? "" : time.clock(turn.taken))];
    if (!turn.handover) return [words.notNeeded];
    const { session } = this.#app.state;
    const [me, isNamed] = [session?.person ?? "", turn.able.includes(session?.person ?? "")];
    const begins = turn.from <= this.#app.now() + EARLY;
    const may = begins && (isNamed || session?.role === "supervisor");
    const said = h("span", {}, words.notTaken(turn.leaving));
    if (!may) return [said];
    const ask = () =>
      this.#app.ask.open({
        title: words.take,
        about: [
          words.takeAbout(team, turn.duty, time.full(turn.from)),
          words.takeFrom(turn.leaving),
          words.takeComing(turn.people, me),
          words.takeMeans,
          ...(isNamed ? [] : [words.takeInstead]),
        ],
        fields: [],
        confirm: words.take,
        run: async () => {
          await this.#app.shifts.takeOver(team, turn);
          return words.tookOver;
        },
      });
    return [said, " ", h("button", { class: isNamed ? "button primary" : "button", type: "button", "aria-label": words.takeFor(team, turn.duty), onclick: ask }, words.take)];
  }
}

/** Shifts that follow one another without anybody are one gap to whoever looks. */
function joined(gaps: readonly Turn[]): Turn[] {
  const all: Turn[] = [];
  for (const gap of gaps) {
    const before = all.findIndex((one) => one.duty === gap.duty && one.until === gap.from);
    if (before < 0) all.push(gap);
    else all[before] = { ...all[before]!, until: gap.until };
  }
  return all;
}

/** So long before it begins a shift may be taken over, as the centre has it. */
const EARLY = 30 * 60_000;
