// Who needs someone, in order. Every open alert of a patient is in that patient's row: nothing is folded away.

import { fill, h, reconcile, set, show, spoken, text, toggle } from "../dom.ts";
import { kindInfo } from "../kinds.ts";
import type { Alert, Kind } from "../model.ts";
import { Sparkline } from "../sparkline.ts";
import { allStale, channelOf, displayName, firstCrossing, forecastOf, isStale, keyVital, lastData, news2, worklist, type Group, type Row } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { amount, amountWithUnit, Badge, Moment, patientLink, within, type App, type View } from "./parts.ts";

const words = texts.worklist;
const GROUPS: readonly Group[] = ["waiting", "taken", "calm"];
/** What a sparkline spans at most, and at least. */
const SPARK_SPAN = 30 * 60_000;
const SPARK_LEAST = 5 * 60_000;
const SPARK_POINTS = 240;
/** Rows that are scrolled away follow at this distance; a change of their alerts at once. */
const UNSEEN_EVERY = 5000;

export class WorklistView implements View {
  readonly title = words.title;
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #count = h("p", { class: "page-note" });
  readonly #empty = h("div", { class: "sheet empty", hidden: true }, h("h2", {}, words.emptyTitle), h("p", {}, words.empty));
  readonly #loading = h("p", { class: "loading" }, words.loading);
  readonly #groups = new Map<Group, { root: HTMLElement; count: HTMLElement; list: HTMLElement; views: Map<string, RowView> }>();
  readonly #stop = new AbortController();
  readonly #rows = new WeakMap<Element, RowView>();
  readonly #seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) this.#rows.get(entry.target)?.see(entry.isIntersecting);
    },
    { rootMargin: "200px" },
  );

  constructor(app: App) {
    this.#app = app;
    this.root = h("div", { class: "page" }, h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, words.title), this.#count));
    this.root.append(this.#loading, this.#empty);
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
    const rows = worklist(this.#app.state);
    const { complete } = this.#app.state;
    show(this.#loading, rows.length === 0 && !(complete.twins && complete.alerts));
    show(this.#empty, rows.length === 0 && complete.twins && complete.alerts);
    text(this.#count, rows.length === 0 ? "" : words.patients(rows.length));
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
        (view, row) => view.update(row),
      );
    }
  }

  destroy(): void {
    this.#stop.abort();
    this.#seen.disconnect();
  }

  #make(patient: string): RowView {
    const view = new RowView(patient, this.#app, this.#stop.signal);
    this.#rows.set(view.root, view);
    this.#seen.observe(view.root);
    return view;
  }
}

/** Names above the columns for the eye; in the rows they are spoken. */
function columns(): HTMLElement {
  const names = words.columns;
  const cells = [names.patient, names.since, names.vital, names.forecast, names.news2, names.data];
  return h("div", { class: "row-columns", "aria-hidden": "true" }, h("span"), ...cells.map((name) => h("span", {}, name)));
}

/** A cell with its column's name, visible where the columns are not (phone). */
function cell(name: string, label: string, ...children: Node[]): HTMLElement {
  return h("div", { class: `cell ${name}` }, h("span", { class: "cell-label" }, label), ...children);
}

class RowView {
  readonly root = h("li", { class: "row" });
  readonly #app: App;
  readonly #patient: string;
  readonly #signal: AbortSignal;
  readonly #badge = new Badge();
  readonly #link = h("a", { class: "row-link" });
  readonly #pseudonym = h("span", { class: "pseudonym" });
  readonly #reasons = h("ul", { class: "reasons" });
  readonly #reasonViews = new Map<string, Reason>();
  readonly #calm = h("p", { class: "calm-note" }, words.calm);
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
  #visible = false;
  #row: Row | null = null;
  #updated = Number.NEGATIVE_INFINITY;
  #loaded: Kind | null = null;
  #drawn = Number.NEGATIVE_INFINITY;

  constructor(patient: string, app: App, signal: AbortSignal) {
    this.#patient = patient;
    this.#app = app;
    this.#signal = signal;
    const names = words.columns;
    set(this.#link, "href", patientLink(patient));
    this.root.append(
      h("div", { class: "mark-cell" }, this.#badge.root),
      h(
        "div",
        { class: "who" },
        h("h3", {}, this.#link, " ", this.#pseudonym),
        this.#reasons,
        this.#calm,
      ),
      cell("since", names.since, this.#wait.root, this.#waitNote),
      cell("vital", names.vital, h("span", { class: "vital-now" }, this.#kind, this.#value, this.#unit), this.#spark.root),
      cell("forecast", names.forecast, this.#forecast, this.#forecastNote),
      cell("news2", names.news2, this.#news, this.#newsSpoken, this.#newsNote),
      cell("data", names.data, this.#age, this.#ageSpoken),
    );
  }

  /** In sight or not; what comes into sight is brought up to date. */
  see(visible: boolean): void {
    this.#visible = visible;
    if (visible && this.#row) this.#draw(this.#row);
  }

  update(row: Row): void {
    const before = this.#row;
    this.#row = row;
    const named = this.#link.textContent === displayName(this.#app.state, this.#patient);
    const same = before !== null && named && sameAlerts(before.alerts, row.alerts);
    if (same && !this.#visible && performance.now() - this.#updated < UNSEEN_EVERY) return;
    this.#draw(row);
  }

  #draw(row: Row): void {
    this.#updated = performance.now();
    const top = row.alerts[0];
    const name = displayName(this.#app.state, this.#patient);
    text(this.#link, name);
    text(this.#pseudonym, name === this.#patient ? "" : this.#patient);
    set(this.root, "class", `row ${top ? `${top.priority} ${top.state}` : "none"}`);
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
    this.#updateWait(top);
    this.#updateVital(row);
    this.#updateForecast(row);
    this.#updateNews(row);
    this.#updateAge(row);
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

  #updateVital(row: Row): void {
    const kind = keyVital(row.twin, row.alerts);
    const channel = kind === null ? null : channelOf(row.twin, kind);
    if (kind === null || channel === null) {
      text(this.#kind, "–");
      for (const part of [this.#value, this.#unit]) text(part, "");
      toggle(this.#spark.root, "invisible", true);
      return;
    }
    const stale = isStale(channel, this.#app.now(), this.#app.lineDown());
    text(this.#kind, texts.kindShort(kind));
    text(this.#value, channel.value === null ? "–" : amount(kind, channel.value));
    text(this.#unit, channel.value === null ? texts.absence(channel.absence) : kindInfo(kind).unit);
    toggle(this.#value.parentElement!, "stale", stale);
    toggle(this.#spark.root, "invisible", false);
    if (this.#visible) this.#drawSpark(kind, row);
  }

  #drawSpark(kind: Kind, row: Row): void {
    const now = this.#app.now();
    if (this.#loaded !== kind && now > 0) {
      this.#loaded = kind;
      const query = { patient: this.#patient, kinds: [kind], from: now - SPARK_SPAN, to: now, most: SPARK_POINTS };
      this.#app.trends.load(query, this.#signal).then(
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
    this.#spark.update({ kind, times, values, band: channelOf(row.twin, kind)?.band ?? null, from, to: now, label });
  }

  #updateForecast(row: Row): void {
    const foreseen = firstCrossing(row.twin);
    toggle(this.#forecast, "crossing", foreseen !== null);
    if (foreseen) {
      const { kind, threshold, falling, at } = foreseen;
      text(this.#forecast, words.crosses(texts.kindShort(kind), amountWithUnit(kind, threshold), falling));
      text(this.#forecastNote, at === null ? words.crossingNow : within(at - this.#app.now()));
      return;
    }
    const kind = keyVital(row.twin, row.alerts);
    const forecast = kind === null ? null : (forecastOf(row.twin, kind) ?? row.twin?.forecasts[0] ?? null);
    text(this.#forecast, forecast === null ? words.noForecast : forecast.points.length > 0 ? words.noCrossing : words.abstains);
    text(this.#forecastNote, forecast?.points.length === 0 ? forecast.abstained : "");
  }

  #updateNews(row: Row): void {
    const score = news2(row.twin);
    text(this.#news, score ? texts.score.total(score.low, score.high) : "–");
    set(this.#news, "aria-hidden", score ? "true" : null);
    text(this.#newsSpoken, score ? texts.score.spoken(score.low, score.high) : "");
    const missing = score?.parts.filter((part) => part.points === null).length ?? 0;
    text(this.#newsNote, missing === 0 ? "" : words.missing(missing));
  }

  #updateAge(row: Row): void {
    const last = lastData(row.twin);
    const stale = allStale(row.twin, this.#app.now(), this.#app.lineDown());
    toggle(this.root, "stale-row", stale);
    toggle(this.#age, "stale", stale);
    if (last === null) {
      text(this.#age, row.twin && row.twin.channels.length > 0 ? words.noValue : words.noData);
      text(this.#ageSpoken, "");
      return;
    }
    const age = time.span(this.#app.now() - last);
    text(this.#age, stale ? words.stale(age) : words.fresh(age));
    set(this.#age, "aria-hidden", "true");
    text(this.#ageSpoken, words.dataSpoken(age, stale));
  }
}

function sameAlerts(a: readonly Alert[], b: readonly Alert[]): boolean {
  return a.length === b.length && a.every((alert, i) => alert === b[i]);
}

/** One open alert in a row. */
class Reason {
  readonly root = h("li", { class: "reason" });
  readonly #badge = new Badge();
  readonly #condition = h("span", { class: "reason-text" });
  readonly #summary = h("span", { class: "reason-summary" });
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
    if (alert.snoozedUntil !== null) notes.push(texts.alerts.snoozed(time.clock(alert.snoozedUntil)));
    if (alert.owner !== "") notes.push(texts.alerts.owner(alert.owner));
    text(this.#note, notes.join(" · "));
  }
}
