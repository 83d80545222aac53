// How good the models have been: forecasts beside "nothing changes", alerts beside what came. Folded up, and read when it is
// opened; the centre counts, this page shows.

import { fill, h, set, text } from "../dom.ts";
import type { AlertScore, ForecastScore, HorizonScore, Scoreboard } from "../model.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import type { App } from "./parts.ts";

const words = texts.scoreboard;

export class ScoreboardSection {
  readonly root: HTMLDetailsElement;
  readonly #app: App;
  readonly #patient: string | null;
  readonly #body = h("div", { class: "scoreboard-body" });

  /** `patient` null: of all. */
  constructor(app: App, patient: string | null) {
    this.#app = app;
    this.#patient = patient;
    this.root = h("details", { class: "scoreboard", ontoggle: () => void this.#open() }, h("summary", {}, h("h2", {}, words.title)), this.#body);
  }

  async #open(): Promise<void> {
    if (!this.root.open) return;
    const status = h("p", { class: "muted", role: "status" }, words.loading);
    fill(this.#body, status);
    set(this.root, "aria-busy", "true");
    try {
      fill(this.#body, ...sections(await this.#app.scoreboard(this.#patient), this.#patient === null));
    } catch (error) {
      text(status, words.failed(error instanceof Error ? error.message : String(error)));
    }
    set(this.root, "aria-busy", null);
  }
}

function sections(board: Scoreboard, all: boolean): HTMLElement[] {
  const about = all ? `${words.aboutAll} ${words.patients(board.patients)}.` : words.about;
  const made = board.forecasts.filter((of) => of.horizons.some((one) => one.due > 0) || of.abstained.length > 0);
  const told = board.alerts.filter((of) => of.absent === "");
  const silent = board.alerts.filter((of) => of.absent !== "");
  return [
    h("p", { class: "muted" }, about),
    h("h3", {}, words.forecasts),
    ...(made.length === 0 ? [h("p", { class: "muted" }, words.none)] : made.flatMap((of) => forecast(of, board.patients, all))),
    h("p", { class: "hint" }, words.errorAbout),
    h("h3", {}, words.alerts),
    alerts(told),
    h("h3", {}, words.silent),
    h("ul", { class: "scoreboard-silent" }, ...silent.map((of) => h("li", {}, words.why(texts.condition(of.condition), words.absent[of.condition] ?? of.absent)))),
  ];
}

function forecast(of: ForecastScore, patients: number, all: boolean): HTMLElement[] {
  const row = (one: HorizonScore) => {
    const share = one.scored === 0 ? "–" : time.percent(one.covered / one.scored);
    const error = (value: number | null) => (value === null ? "–" : time.number(value, 2));
    const verdict = one.unfit === 0 ? words.good : all ? words.unfitOf(one.unfit, patients) : words.unfit;
    const cells = [String(one.due), String(one.scored), share, error(one.error), error(one.persistenceError), verdict];
    return h("tr", {}, h("th", { scope: "row" }, words.minutes(one.ahead / 60)), ...cells.map((cell) => h("td", {}, cell)));
  };
  const heads = [words.ahead, words.due, words.measured, words.inside(time.percent(of.nominal)), words.error, words.persistence, words.verdict];
  const parts = [table(`${texts.kind(of.kind)} (${of.model})`, heads, of.horizons.map(row))];
  if (of.abstained.length > 0) {
    const why = of.abstained.map(({ reason, times }) => words.without(time.number(times, 0), words.reasons[reason] ?? reason));
    parts.push(h("p", { class: "hint" }, `${words.withoutTitle} ${why.join(" · ")}`));
  }
  return parts;
}

function alerts(told: readonly AlertScore[]): HTMLElement {
  const row = (of: AlertScore) => {
    const { lead } = of;
    const event = words.within(words.events[of.condition] ?? of.event, time.span(of.within));
    const ahead = lead === null ? "–" : words.leadOf(time.span(lead.mean), time.span(lead.least), time.span(lead.most));
    const counts = [of.told, of.right, of.late, of.wrong, of.open].map((count) => h("td", {}, String(count)));
    const missed = h("td", {}, words.missedOf(of.missed, of.events));
    return h("tr", {}, h("th", { scope: "row" }, texts.condition(of.condition)), ...counts, missed, h("td", {}, ahead), h("td", { class: "wide" }, event));
  };
  const heads = [words.alert, words.told, words.right, words.late, words.wrong, words.open, words.missed, words.lead, words.event];
  return table(words.alerts, heads, told.map(row));
}

/** Wide ones scroll within themselves, also by key. */
function table(caption: string, heads: readonly string[], rows: readonly HTMLElement[]): HTMLElement {
  const head = h("thead", {}, h("tr", {}, ...heads.map((one) => h("th", { scope: "col" }, one))));
  return h("div", { class: "rules-table", tabindex: 0, role: "region", "aria-label": caption }, h("table", {}, h("caption", {}, caption), head, h("tbody", {}, ...rows)));
}
