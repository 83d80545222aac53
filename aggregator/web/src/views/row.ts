// One patient's row in the worklist: why, since when, what it rests on, whose affair it is and what is next.

import { nextStep, owners } from "../care.ts";
import { fill, h, reconcile, set, show, spoken, text, toggle } from "../dom.ts";
import type { Alert, Channel, Kind, Twin } from "../model.ts";
import { Sparkline } from "../sparkline.ts";
import { allStale, channelOf, displayName, firstCrossing, forecastOf, isStale, keyVital, lastData, mayAct, news2, type Row } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { amount, amountWithUnit, shownAs } from "../units.ts";
import { Badge, Lookers, Moment, patientLink, within, type App } from "./parts.ts";

const words = texts.worklist;
/** What a sparkline spans at most, and at least. */
const SPARK_SPAN = 30 * 60_000;
const SPARK_LEAST = 5 * 60_000;
const SPARK_POINTS = 240;

/** A cell with its column's name, visible where the columns are not (phone). */
function cell(name: string, label: string, ...children: Node[]): HTMLElement {
  return h("div", { class: `cell ${name}` }, h("span", { class: "cell-label" }, label), ...children);
}

export class RowView {
  readonly root = h("li", { class: "row" });
  readonly patient: string;
  readonly #app: App;
  readonly #badge = new Badge();
  readonly #link = h("a", { class: "row-link", "data-stop": true });
  readonly #pseudonym = h("span", { class: "pseudonym" });
  readonly #lookers = new Lookers(false);
  readonly #reasons = h("ul", { class: "reasons" });
  readonly #reasonViews = new Map<string, Reason>();
  readonly #calm = h("p", { class: "calm-note" }, words.calm);
  readonly #cells: Cells;

  constructor(patient: string, app: App) {
    this.patient = patient;
    this.#app = app;
    this.#cells = new Cells(patient, app);
    set(this.#link, "href", patientLink(patient));
    this.root.append(
      h("div", { class: "mark-cell" }, this.#badge.root),
      h("div", { class: "who" }, h("h3", {}, this.#link, " ", this.#pseudonym), this.#lookers.root, this.#reasons, this.#calm),
      ...this.#cells.roots,
    );
  }

  /** Its trend is forgotten: who comes back asks for it again. */
  destroy(): void {
    this.#cells.destroy();
  }

  /** `place` of `count` in its group: most rows of a long list are not in the document. */
  update(row: Row, place: number, count: number): void {
    const top = row.alerts[0];
    const name = displayName(this.#app.state, this.patient);
    set(this.root, "aria-posinset", place);
    set(this.root, "aria-setsize", count);
    text(this.#link, name);
    text(this.#pseudonym, name === this.patient ? "" : this.patient);
    this.#lookers.update(this.#app.state, this.patient);
    set(this.root, "data-alert", top?.id ?? null);
    toggle(this.#badge.root, "invisible", top === undefined);
    if (top) this.#badge.update(top);
    show(this.#calm, top === undefined);
    reconcile(
      this.#reasons,
      this.#reasonViews,
      row.alerts,
      (alert) => alert.id,
      () => new Reason(),
      // The badge of the first one stands at the head of the row.
      (view, alert) => view.update(alert, this.#app.now(), alert !== top),
    );
    const stale = allStale(this.#app.state.twins.get(this.patient) ?? null, this.#app.now(), this.#app.lineDown());
    set(this.root, "class", `row ${top ? `${top.priority} ${top.state}` : "none"}${stale ? " stale-row" : ""}`);
    this.#cells.update(row, stale);
  }
}

class Cells {
  readonly roots: readonly HTMLElement[];
  readonly #app: App;
  readonly #patient: string;
  readonly #stop = new AbortController();
  readonly #wait = new Moment();
  readonly #waitNote = h("span", { class: "sub" });
  readonly #kind = h("span", { class: "vital-kind" });
  readonly #value = h("span", { class: "vital-value" });
  readonly #unit = h("span", { class: "vital-unit" });
  readonly #spark = new Sparkline();
  readonly #forecast = h("span", { class: "forecast-text" });
  readonly #forecastNote = h("span", { class: "sub" });
  readonly #news = h("span", { class: "news" });
  readonly #newsSpoken = spoken("");
  readonly #newsNote = h("span", { class: "sub" });
  readonly #age = h("span", { class: "age" });
  readonly #ageSpoken = spoken("");
  readonly #act = h("button", { class: "button row-act", type: "button" });
  readonly #next = h("span", { class: "next-text" });
  readonly #nextNote = h("span", { class: "sub" });
  readonly #owner = h("span", { class: "owner" });
  #row: Row | null = null;
  #loaded: Kind | null = null;
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(patient: string, app: App) {
    this.#patient = patient;
    this.#app = app;
    const names = words.columns;
    this.#act.addEventListener("click", () => this.#do());
    this.roots = [
      cell("since", names.since, this.#wait.root, this.#waitNote),
      cell("vital", names.vital, h("span", { class: "vital-now" }, this.#kind, this.#value, this.#unit), this.#spark.root),
      cell("forecast", names.forecast, this.#forecast, this.#forecastNote),
      cell("news2", names.news2, this.#news, this.#newsSpoken, this.#newsNote),
      cell("data", names.data, this.#age, this.#ageSpoken),
      cell("next", names.next, this.#owner, this.#act, this.#next, this.#nextNote),
    ];
  }

  destroy(): void {
    this.#stop.abort();
    this.#app.trends.forget(this.#patient);
  }

  update(row: Row, stale: boolean): void {
    this.#row = row;
    const twin = this.#app.state.twins.get(this.#patient) ?? null;
    this.#updateWait(row.alerts[0]);
    this.#updateVital(row, twin);
    this.#updateForecast(row, twin);
    this.#updateNews(twin);
    this.#updateAge(twin, stale);
    this.#updateNext(row);
  }

  #updateNext(row: Row): void {
    const me = this.#app.state.session?.person ?? "";
    const step = nextStep(row.alerts, me);
    const names = owners(row.alerts);
    text(this.#owner, names.length === 0 ? "" : words.owner(names.join(", ")));
    show(this.#owner, names.length > 0);
    const label = !mayAct(this.#app.state) ? "" : step.what === "take" ? texts.acts.take : step.what === "acknowledge" || step.what === "unanswered" ? texts.acts.acknowledge : "";
    show(this.#act, label !== "");
    const named = `${label}: ${displayName(this.#app.state, this.#patient)}`;
    if (this.#act.title !== named) {
      set(this.#act, "title", named);
      fill(this.#act, label, spoken(`: ${displayName(this.#app.state, this.#patient)}`));
    }
    toggle(this.#act, "primary", step.what !== "take");
    text(this.#next, words.step(step.what));
    show(this.#next, label === "" || step.what === "unanswered");
    toggle(this.#next, "urgent", step.what === "unanswered");
    const note =
      step.what === "acknowledge" && step.nextCall !== null ? texts.alerts.nextCall(time.clock(step.nextCall)) : step.what === "silenced" ? words.wakes(time.clock(step.until)) : "";
    text(this.#nextNote, note);
  }

  /** What the button says, to the alert that it is about. */
  #do(): void {
    const alerts = this.#row?.alerts ?? [];
    const waits = alerts.find((alert) => alert.state === "active" && alert.snoozedUntil === null && alert.partOf === "");
    const free = alerts.find((alert) => alert.owner === "");
    if (waits) this.#app.acts.acknowledge([waits]);
    else if (free) void this.#app.acts.take(free);
  }

  #updateWait(top: Alert | undefined): void {
    show(this.#wait.root, top !== undefined);
    if (!top) {
      text(this.#waitNote, "");
      return;
    }
    const since = top.onset !== null && top.onset < top.raised ? top.onset : top.raised;
    this.#wait.update(top.raised, time.span(this.#app.now() - top.raised));
    text(this.#waitNote, words.since(time.clock(since)));
  }

  #updateVital(row: Row, twin: Twin | null): void {
    const kind = keyVital(twin, row.alerts);
    const channel = kind === null ? null : channelOf(twin, kind);
    if (kind === null || channel === null) {
      text(this.#kind, "–");
      for (const part of [this.#value, this.#unit]) text(part, "");
      toggle(this.#spark.root, "invisible", true);
      return;
    }
    const stale = isStale(channel, this.#app.now(), this.#app.lineDown());
    text(this.#kind, texts.kindShort(kind));
    text(this.#value, channel.value === null ? "–" : amount(kind, channel.value));
    text(this.#unit, channel.value === null ? texts.absence(channel.absence) : shownAs(kind).unit);
    toggle(this.#value.parentElement!, "stale", stale);
    toggle(this.#spark.root, "invisible", false);
    this.#drawSpark(kind, channel);
  }

  #drawSpark(kind: Kind, channel: Channel): void {
    const now = this.#app.now();
    if (this.#loaded !== kind && now > 0) {
      this.#loaded = kind;
      const query = { patient: this.#patient, kinds: [kind], from: now - SPARK_SPAN, to: now, most: SPARK_POINTS };
      this.#app.trends.load(query, this.#stop.signal).then(
        () => (this.#drawn = Number.NEGATIVE_INFINITY),
        () => {
          // Live values draw the line from here on; another kind or another page asks again.
        },
      );
    }
    const local = performance.now();
    if (local - this.#drawn < 900) return;
    this.#drawn = local;
    const series = this.#app.trends.lines(this.#patient, kind)[0]?.series;
    const from = Math.max(now - SPARK_SPAN, Math.min(series?.first ?? now, now - SPARK_LEAST));
    const { times, values } = series ? series.window(from, now, series.gap(60_000)) : { times: [], values: [] };
    const numbers = values.filter((value) => value !== null);
    const label =
      numbers.length === 0
        ? texts.sparklineEmpty(texts.kind(kind))
        : texts.sparkline(
            texts.kind(kind),
            time.clock(times[0]!),
            time.clock(times[times.length - 1]!),
            amountWithUnit(kind, Math.min(...numbers)),
            amountWithUnit(kind, Math.max(...numbers)),
          );
    this.#spark.update({ kind, times, values, band: channel.band, from, to: now, label });
  }

  #updateForecast(row: Row, twin: Twin | null): void {
    const foreseen = firstCrossing(twin);
    toggle(this.#forecast, "crossing", foreseen !== null);
    if (foreseen) {
      const { kind, threshold, falling, at } = foreseen;
      text(this.#forecast, words.crosses(texts.kindShort(kind), amountWithUnit(kind, threshold), falling));
      text(this.#forecastNote, at === null ? words.crossingNow : within(at - this.#app.now()));
      return;
    }
    const kind = keyVital(twin, row.alerts);
    const forecast = kind === null ? null : (forecastOf(twin, kind) ?? twin?.forecasts[0] ?? null);
    text(this.#forecast, forecast === null ? words.noForecast : forecast.points.length > 0 ? words.noCrossing : words.abstains);
    text(this.#forecastNote, forecast?.points.length === 0 ? forecast.abstained : "");
  }

  #updateNews(twin: Twin | null): void {
    const score = news2(twin);
    text(this.#news, score ? texts.score.total(score.low, score.high) : "–");
    set(this.#news, "aria-hidden", score ? "true" : null);
    text(this.#newsSpoken, score ? texts.score.spoken(score.low, score.high) : "");
    const missing = score?.parts.filter((part) => part.points === null).length ?? 0;
    text(this.#newsNote, missing === 0 ? "" : words.missing(missing));
  }

  #updateAge(twin: Twin | null, stale: boolean): void {
    const last = lastData(twin);
    toggle(this.#age, "stale", stale);
    if (last === null) {
      text(this.#age, twin && twin.channels.length > 0 ? words.noValue : words.noData);
      text(this.#ageSpoken, "");
      return;
    }
    const age = time.span(this.#app.now() - last);
    text(this.#age, stale ? words.stale(age) : words.fresh(age));
    set(this.#age, "aria-hidden", "true");
    text(this.#ageSpoken, words.dataSpoken(age, stale));
  }
}

/** One open alert in a row. */
class Reason {
  readonly root = h("li", { class: "reason" });
  readonly #badge = new Badge();
  readonly #condition = h("span", { class: "reason-text" });
  readonly #summary = h("span", { class: "reason-summary", lang: "en" });
  readonly #note = h("span", { class: "reason-note" });

  constructor() {
    fill(this.root, this.#badge.root, h("div", {}, this.#condition, " ", this.#note, this.#summary));
  }

  update(alert: Alert, now: number, withBadge: boolean): void {
    this.#badge.update(alert);
    show(this.#badge.root, withBadge);
    text(this.#condition, texts.condition(alert.condition));
    text(this.#summary, alert.summary);
    const notes: string[] = [];
    if (alert.category === "technical") notes.push(texts.categoryTag(alert.category));
    if (alert.expected !== null) notes.push(texts.alerts.predictiveTag);
    if (alert.retrospective) notes.push(texts.alerts.retrospectiveTag);
    if (alert.state === "acknowledged") {
      notes.push(words.acknowledgedBy(alert.acknowledgedBy, time.span(now - (alert.acknowledged ?? now))));
    }
    if (alert.state === "active" && alert.unanswered !== null) notes.push(texts.alerts.unanswered);
    if (alert.state === "active" && alert.partOf !== "") notes.push(texts.alerts.partOf);
    if (alert.snoozedUntil !== null) notes.push(texts.alerts.snoozed(time.clock(alert.snoozedUntil)));
    text(this.#note, notes.join(" · "));
  }
}
