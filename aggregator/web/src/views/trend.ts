// Trends of one patient: past readings completed by live ones, personal band, limits, and the forecast as a fan
// with what its intervals and errors were worth so far.

import { TrendChart, type ChartData } from "../chart.ts";
import { h, set, show, text, toggle } from "../dom.ts";
import { HEART_RATE, kindInfo, PULSE_RATE, RR_INTERVAL, TREND_ORDER } from "../kinds.ts";
import type { Alert, Channel, Coverage, Forecast, Kind, Stretch, Twin } from "../model.ts";
import type { Note } from "../notes.ts";
import { channelOf, crossing, forecastOf } from "../store.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import { grain, type Line, type Trends } from "../trends.ts";
import { amount, amountWithUnit, shown, shownAs, withUnit } from "../units.ts";
import { CoverageStrip } from "./coverage.ts";
import type { FactsPanel } from "./facts.ts";
import { Notes } from "./notes.ts";
import { Replay } from "./replay.ts";
import { within, type App } from "./parts.ts";

const words = texts.chart;

const DAY = 86_400_000;
const RANGES = { "15m": 15 * 60_000, "1h": 3_600_000, "6h": 6 * 3_600_000, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "1y": 365 * DAY } as const;
type Range = keyof typeof RANGES;
const RANGE_NAMES = Object.keys(RANGES) as Range[];

/** Past readings that a chart asks for, per kind. */
const POINTS = 1200;
/** The window is at least this wide, however little was measured. */
const LEAST_SPAN = 10 * 60_000;
/** Conflation may skip states: the last minutes are completed from history this often (real time). */
const COMPLETE_EVERY = 15_000;
/** Means of hours and minutes change slowly. */
const RENEW_EVERY = 300_000;
/** Coverage is kept for so long. */
const COVERED = 8 * DAY;
/** The slider rests so long before the past is asked for. */
const SETTLE = 300;
const DRAW_EVERY = 450;
/** Lines of one chart, one per source. */
const MOST_LINES = 3;

export class TrendsSection {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #patient: string;
  readonly #cards = new Map<Kind, TrendCard>();
  readonly #list = h("div", { class: "trend-list" });
  readonly #notice = h("p", { class: "notice", role: "status", hidden: true });
  readonly #retry = h("button", { class: "button quiet", type: "button", hidden: true }, words.retry);
  readonly #moved: () => void;
  readonly #knownButton = h("button", { class: "button", type: "button", "aria-pressed": "false" }, words.known);
  readonly #knownBox = h("div", { class: "known", hidden: true });
  readonly #slider = h("input", { type: "range", step: 1, "aria-label": words.knownSlider });
  readonly #knownAt = h("output", { class: "known-at" });
  readonly #notes: Notes;
  readonly #replayButton = h("button", { class: "button", type: "button", "aria-pressed": "false" }, texts.together.replay.title);
  /** A day that is played again, and what of it there is to see. */
  #replay: { controls: Replay; from: number; to: number } | null = null;
  #range: Range = "1h";
  /** Null: now. Else what was known then is shown, and nothing that came later. */
  #then: number | null = null;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #trends: Trends;
  #loading: AbortController | null = null;
  #loadedTo: number | null = null;
  #coverage: readonly Coverage[] = [];
  #askedAt = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;

  /** `moved`: another moment's knowledge is looked at. */
  constructor(app: App, patient: string, facts: FactsPanel, moved: () => void) {
    this.#app = app;
    this.#patient = patient;
    this.#notes = new Notes(app, facts);
    this.#moved = moved;
    this.#trends = app.trends;
    this.#knownButton.addEventListener("click", () => this.#lookBack(this.#then === null ? app.now() : null));
    this.#replayButton.addEventListener("click", () => (this.#replay === null ? this.#beginReplay() : this.#lookBack(null)));
    this.#slider.addEventListener("input", () => this.#slide());
    this.#knownBox.append(h("label", {}, words.knownSlider, " ", this.#slider), this.#knownAt, h("p", { class: "hint" }, words.knownHint));
    this.#retry.addEventListener("click", () => this.#load());
    this.root = h(
      "section",
      { class: "part part-trends", "aria-labelledby": "part-trends" },
      h("div", { class: "part-head" }, h("h2", { id: "part-trends" }, texts.patient.trends), h("div", { class: "trend-tools" }, this.#replayButton, this.#knownButton, this.#ranges())),
      this.#knownBox,
      this.#notice,
      this.#retry,
      this.#list,
      this.#notes.root,
    );
  }

  #ranges(): HTMLElement {
    const options = RANGE_NAMES.map((name) => {
      const input = h("input", { type: "radio", name: "range", value: name, id: `range-${name}`, "aria-label": words.rangesSpoken[name] });
      input.checked = name === this.#range;
      input.addEventListener("change", () => {
        this.#range = name;
        this.#lookBack(null);
      });
      return h("label", { for: `range-${name}` }, input, h("span", {}, words.ranges[name]));
    });
    return h("fieldset", { class: "segmented" }, h("legend", { class: "sr" }, words.range), ...options);
  }

  update(twin: Twin | null, alerts: readonly Alert[]): void {
    const now = this.#app.now();
    if (now <= 0 || twin === null) return;
    const local = performance.now();
    const renew = this.#trends === this.#app.trends ? COMPLETE_EVERY : RENEW_EVERY;
    if (this.#loadedTo === null && this.#loading === null && this.#askedAt === 0) this.#load();
    else if (this.#loading === null && this.#loadedTo !== null && this.#then === null && local - this.#askedAt > renew && !this.#app.lineDown()) this.#load(true);
    if (local - this.#drawnAt < DRAW_EVERY) return;
    this.#drawnAt = local;
    this.#syncCards(twin);
    const window = this.#window(twin, this.#then ?? now);
    this.#notes.update({ from: window.from, to: window.now, known: this.#then, kinds: [...this.#cards.keys()] });
    for (const [kind, card] of this.#cards) {
      card.notes = this.#notes.of(kind);
      card.update(this.#then === null ? twin : { ...twin, channels: [], forecasts: [] }, alerts, window, this.#loading !== null && this.#loadedTo === null, this.#trends);
      card.cover(this.#coverage.find((line) => line.kind === kind)?.stretches ?? [], window);
    }
  }

  /** How long a time the charts show, in words. */
  get range(): string {
    return words.rangesSpoken[this.#range];
  }

  /** The moment whose knowledge is shown; null: now. */
  get moment(): number | null {
    return this.#then;
  }

  #lookBack(then: number | null): void {
    this.#endReplay();
    this.#then = then;
    const now = this.#app.now();
    set(this.#knownButton, "aria-pressed", String(then !== null));
    show(this.#knownBox, then !== null);
    if (then !== null) {
      set(this.#slider, "min", Math.round((now - RANGES[this.#range]) / 1000));
      set(this.#slider, "max", Math.round(now / 1000));
      this.#slider.value = String(Math.round(then / 1000));
      this.#sayThen();
    }
    this.#startOver();
  }

  /** The last day once more, as it became known. */
  #beginReplay(): void {
    const to = this.#app.now();
    const from = to - DAY;
    this.#range = "24h";
    const chosen = this.root.querySelector<HTMLInputElement>("#range-24h");
    if (chosen) chosen.checked = true;
    this.#lookBack(from);
    set(this.#knownButton, "aria-pressed", "false");
    const showing = { show: (at: number) => this.#showAt(at, from), changed: () => set(this.#knownAt, "aria-live", this.#replay?.controls.playing ? "off" : "polite") };
    const failed = () => {
      text(this.#notice, words.failed);
      show(this.#notice, true);
    };
    const controls = new Replay(showing, [from, to], failed, () => {
      this.#lookBack(null);
      this.#replayButton.focus();
    });
    this.#replay = { controls, from, to };
    set(this.#replayButton, "aria-pressed", "true");
    this.#knownBox.prepend(controls.root);
    controls.begin();
  }

  #endReplay(): void {
    if (this.#replay === null) return;
    this.#replay.controls.stop();
    this.#replay.controls.root.remove();
    this.#replay = null;
    set(this.#replayButton, "aria-pressed", "false");
    set(this.#knownAt, "aria-live", null);
  }

  /** The picture of that moment stands until the next one is whole. */
  async #showAt(then: number, from: number): Promise<void> {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    const trends = this.#app.newTrends();
    try {
      await trends.load({ patient: this.#patient, kinds: TREND_ORDER, from, to: then, most: POINTS, knownAt: then }, loading.signal);
    } finally {
      if (this.#loading === loading) this.#loading = null;
    }
    if (loading.signal.aborted || this.#replay === null) return;
    this.#trends = trends;
    [this.#then, this.#loadedTo] = [then, then];
    this.#coverage = [];
    this.#slider.value = String(Math.round(then / 1000));
    this.#sayThen();
    this.#drawnAt = Number.NEGATIVE_INFINITY;
    this.#moved();
  }

  #slide(): void {
    if (this.#replay !== null) {
      const at = Number(this.#slider.value) * 1000;
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#replay?.controls.seek(at), SETTLE);
      return;
    }
    this.#then = Number(this.#slider.value) * 1000;
    this.#sayThen();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#startOver(), SETTLE);
  }

  #sayThen(): void {
    const said = time.full(this.#then ?? 0);
    text(this.#knownAt, said);
    set(this.#slider, "aria-valuetext", said);
  }

  /** Live values complete single readings of the present only; everything else stands for itself. */
  #startOver(): void {
    const live = this.#then === null && grain(RANGES[this.#range]) === "raw";
    this.#trends = live ? this.#app.trends : this.#app.newTrends();
    this.#moved();
    this.#load();
  }

  repaint(): void {
    for (const card of this.#cards.values()) card.repaint();
  }

  destroy(): void {
    this.#endReplay();
    this.#loading?.abort();
    for (const card of this.#cards.values()) card.destroy();
  }

  /** One time axis for all trends, so that one crosshair reads them all. */
  #window(twin: Twin, now: number): Window {
    if (this.#replay !== null) return { then: true, from: this.#replay.from, now, to: this.#replay.to };
    let first = now;
    let ahead = 0;
    for (const kind of this.#cards.keys()) {
      for (const line of this.#trends.lines(this.#patient, kind)) first = Math.min(first, line.series.first ?? now);
      const points = this.#then === null ? (forecastOf(twin, kind)?.points ?? []) : [];
      ahead = Math.max(ahead, (points[points.length - 1]?.at ?? now) - now);
    }
    const from = Math.max(now - RANGES[this.#range], Math.min(first, now - LEAST_SPAN));
    // The past keeps most of the width.
    const past = now - from;
    return { then: this.#then !== null, from, now, to: now + Math.min(Math.max(ahead, past * 0.02), past * 0.6) };
  }

  /** A card for each kind that has or had readings; order is fixed, so nothing jumps. */
  #syncCards(twin: Twin): void {
    const wanted = TREND_ORDER.filter((kind) => {
      if (kind === PULSE_RATE && channelOf(twin, HEART_RATE) !== null) return false;
      return channelOf(twin, kind) !== null || this.#trends.lines(this.#patient, kind).length > 0;
    });
    for (const [kind, card] of this.#cards) {
      if (wanted.includes(kind)) continue;
      card.destroy();
      card.root.remove();
      this.#cards.delete(kind);
    }
    wanted.forEach((kind, place) => {
      let card = this.#cards.get(kind);
      if (!card) {
        card = new TrendCard(this.#app, this.#patient, kind);
        this.#cards.set(kind, card);
      }
      if (this.#list.children[place] !== card.root) this.#list.insertBefore(card.root, this.#list.children[place] ?? null);
    });
  }

  /** All of the range, or only what came since the last time. */
  #load(onlyNew = false): void {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    const now = this.#then ?? this.#app.now();
    const range = RANGES[this.#range];
    const whole = now - range;
    const from = onlyNew && this.#loadedTo !== null ? Math.max(whole, this.#loadedTo - 60_000) : whole;
    this.#askedAt = performance.now();
    if (!onlyNew) this.#loadedTo = null;
    const patient = this.#patient;
    const live = this.#trends === this.#app.trends;
    const query = { patient, kinds: TREND_ORDER, from: live ? from : whole, to: now, most: onlyNew && live ? 0 : POINTS };
    const readings = this.#trends.load(this.#then === null ? query : { ...query, knownAt: this.#then }, loading.signal);
    // Of the whole range each time: what came late changes what was awaited long before. What was thought of it then is
    // not kept.
    const covered = this.#then === null && range <= COVERED;
    const coverage = covered ? this.#app.coverage({ patient, kinds: [], from: whole, to: now }, loading.signal) : Promise.resolve([]);
    Promise.all([coverage, readings]).then(
      ([lines]) => {
        this.#coverage = lines;
        this.#loadedTo = now;
        this.#finished(loading, false);
      },
      () => this.#finished(loading, !loading.signal.aborted),
    );
  }

  #finished(loading: AbortController, failed: boolean): void {
    if (this.#loading !== loading) return;
    this.#loading = null;
    this.#drawnAt = Number.NEGATIVE_INFINITY;
    text(this.#notice, failed ? words.failed : "");
    show(this.#notice, failed);
    show(this.#retry, failed);
  }
}

interface Window {
  /** `now` is a moment of the past. */
  readonly then: boolean;
  readonly from: number;
  readonly now: number;
  readonly to: number;
}

class TrendCard {
  readonly root: HTMLElement;
  readonly #patient: string;
  readonly #kind: Kind;
  #trends: Trends;
  readonly #readout = h("span", { class: "readout", "aria-hidden": "true" });
  readonly #canvas = h("div", { class: "chart", role: "img" });
  readonly #empty = h("p", { class: "chart-empty", hidden: true });
  readonly #lineKeys: HTMLElement[];
  readonly #bandKey = h("span", { class: "key band" }, words.usual);
  readonly #forecastKey = h("span", { class: "key forecast" });
  readonly #crossing = h("p", { class: "crossing-note", hidden: true });
  readonly #facts = h("p", { class: "forecast-facts" });
  readonly #chart: TrendChart;
  readonly #strip = new CoverageStrip();
  /** What people wrote at this trend, in sight. */
  notes: readonly Note[] = [];
  #latest = "";
  #pointing = false;

  constructor(app: App, patient: string, kind: Kind) {
    this.#patient = patient;
    this.#kind = kind;
    this.#trends = app.trends;
    const shape = kind === RR_INTERVAL ? "beats" : "line";
    this.#lineKeys = Array.from({ length: MOST_LINES }, (_, i) => h("span", { class: `key ${shape} line-${i + 1}` }));
    this.root = h(
      "article",
      { class: "trend" },
      h("div", { class: "trend-head" }, h("h3", {}, texts.kind(kind), " ", h("span", { class: "unit" }, shownAs(kind).unit)), this.#readout),
      h("div", { class: "chart-box" }, this.#canvas, this.#empty),
      this.#strip.root,
      h("p", { class: "keys" }, ...this.#lineKeys, this.#bandKey, this.#forecastKey),
      this.#crossing,
      this.#facts,
    );
    this.#chart = new TrendChart(
      this.#canvas,
      {
        axisTime,
        axisValue: (value) => time.number(value, value % 1 === 0 ? 0 : 1),
      },
      `patient-${patient}`,
      (at) => {
        this.#pointing = at !== null;
        const value = at === null ? null : (at.value ?? at.forecast);
        text(this.#readout, at === null || value === null ? this.#latest : words.reading(time.clockSeconds(at.time), withUnit(time.number(value, shownAs(kind).decimals), kind)));
      },
    );
  }

  update(twin: Twin, alerts: readonly Alert[], window: Window, loading: boolean, trends: Trends): void {
    this.#trends = trends;
    const channel = channelOf(twin, this.#kind);
    const forecast = forecastOf(twin, this.#kind);
    const { scale } = shownAs(this.#kind);
    const view = (value: number) => shown(this.#kind, value);
    const whole = this.#lines(channel);
    const lines = whole.map(({ source, series }) => {
      const gap = Math.max(series.gap(30_000), (window.to - window.from) / 60);
      const { times, values } = series.window(window.from, window.now, this.#kind === RR_INTERVAL ? Number.POSITIVE_INFINITY : gap);
      return { source, times, values: values.map((value) => (value === null ? null : view(value))) };
    });
    const low = whole[0]?.low.window(window.from, window.now, Number.POSITIVE_INFINITY);
    const high = whole[0]?.high.window(window.from, window.now, Number.POSITIVE_INFINITY);
    const drawn = lines.filter((line) => line.times.length > 0).slice(0, MOST_LINES);
    const data: ChartData = {
      lines: drawn,
      extremes: low && high && low.times.length > 0 ? { times: low.times, low: low.values.map((v) => view(v ?? 0)), high: high.values.map((v) => view(v ?? 0)) } : null,
      forecast: fan(forecast, this.#start(forecast, channel), view),
      band: this.#kind === RR_INTERVAL || !channel?.band ? null : { low: view(channel.band.low), high: view(channel.band.high) },
      limits: this.#limits(forecast, alerts),
      ...window,
      nowLabel: window.then ? words.then : words.now,
      scale,
      dots: this.#kind === RR_INTERVAL,
      notes: this.notes,
    };
    this.#chart.update(data);
    this.#latest = channel?.value == null ? "" : amountWithUnit(this.#kind, channel.value);
    if (!this.#pointing) text(this.#readout, this.#latest);
    show(this.#empty, drawn.length === 0);
    text(this.#empty, loading ? words.loading : words.noData);
    show(this.#bandKey, data.band !== null);
    show(this.#forecastKey, data.forecast !== null);
    if (forecast) text(this.#forecastKey, words.forecast(time.percent(forecast.coverageNominal)));
    this.#updateKeys(twin, drawn.map((line) => line.source));
    this.#updateForecast(twin, forecast, window.now);
    const noted = this.notes.length === 0 ? "" : ` ${texts.together.notes.spoken(this.notes.map(({ number }) => number).join(", "))}`;
    set(this.#canvas, "aria-label", this.#spoken(drawn, forecast) + noted);
  }

  cover(stretches: readonly Stretch[], window: Window): void {
    this.#strip.update(stretches, window);
  }

  repaint(): void {
    this.#chart.repaint();
  }

  destroy(): void {
    this.#chart.destroy();
  }

  /** The source that leads at the centre comes first. */
  #lines(channel: Channel | null): Line[] {
    const lines = this.#trends.lines(this.#patient, this.#kind);
    return lines.sort((a, b) => Number(b.source === channel?.source) - Number(a.source === channel?.source));
  }

  /** With several sources each line says whose it is. */
  #updateKeys(twin: Twin, sources: readonly number[]): void {
    this.#lineKeys.forEach((key, i) => {
      const source = sources[i];
      show(key, i === 0 || source !== undefined);
      const device = twin.devices.find((known) => known.source === source);
      const name = device?.name || texts.devices.source(source ?? 0);
      text(key, sources.length > 1 ? words.measuredBy(name) : words.measured);
    });
  }

  /** Where the fan opens: what was measured in the minute before the forecast was made, on average. */
  #start(forecast: Forecast | null, channel: Channel | null): number | null {
    const series = this.#lines(channel)[0]?.series;
    if (!forecast || !series) return null;
    const { values } = series.window(forecast.made - 60_000, forecast.made, Number.POSITIVE_INFINITY);
    return values.length === 0 ? null : values.reduce<number>((sum, value) => sum + (value ?? 0), 0) / values.length;
  }

  #limits(forecast: Forecast | null, alerts: readonly Alert[]): { value: number; label: string }[] {
    const values = new Set<number>();
    if (forecast?.threshold != null) values.add(forecast.threshold);
    for (const alert of alerts) {
      for (const evidence of alert.evidence) {
        const plain = evidence.kind === this.#kind && this.#kind !== RR_INTERVAL && alert.category === "physiological";
        // A limit far off the kind's scale belongs to something derived (a slope, a share).
        const { scale } = kindInfo(this.#kind);
        if (plain && evidence.limit !== null && evidence.limit > scale[0] / 2 && evidence.limit < scale[1] * 2) values.add(evidence.limit);
      }
    }
    return [...values].map((value) => ({ value: shown(this.#kind, value), label: words.limit(amount(this.#kind, value)) }));
  }

  #updateForecast(twin: Twin, forecast: Forecast | null, now: number): void {
    const crosses = forecast ? crossing(twin, forecast) : null;
    show(this.#crossing, crosses !== null);
    if (crosses) {
      const threshold = amountWithUnit(this.#kind, crosses.threshold);
      const already = crosses.falling ? words.below(threshold) : words.above(threshold);
      text(this.#crossing, crosses.at === null ? already : words.crosses(threshold, time.clock(crosses.at), within(crosses.at - now)));
    }
    const facts: string[] = [];
    if (forecast && forecast.points.length === 0) facts.push(words.abstains(forecast.abstained));
    if (forecast && forecast.points.length > 0 && forecast.unfit.length > 0) {
      facts.push(words.unfit(forecast.unfit.map((ahead) => time.span(ahead * 1000)).join(", ")));
    }
    if (forecast && forecast.points.length > 0) {
      if (crosses === null) facts.push(words.noCrossing);
      const nominal = time.percent(forecast.coverageNominal);
      facts.push(
        forecast.coverageObserved === null || forecast.scored === 0
          ? words.coverageUnknown(nominal)
          : words.coverage(nominal, time.percent(forecast.coverageObserved), forecast.scored),
      );
      if (forecast.error !== null && forecast.persistenceError !== null) {
        facts.push(words.error(time.number(forecast.error, 2), time.number(forecast.persistenceError, 2)));
      }
      if (forecast.model !== "") facts.push(words.model(forecast.model));
    }
    text(this.#facts, facts.join(" · "));
    show(this.#facts, facts.length > 0);
    toggle(this.root, "foreseen", crosses !== null);
  }

  #spoken(lines: readonly { values: (number | null)[] }[], forecast: Forecast | null): string {
    const values = (lines[0]?.values ?? []).filter((value) => value !== null);
    if (values.length === 0) return `${texts.kind(this.#kind)}: ${words.noData}`;
    const plain = (value: number) => withUnit(time.number(value, shownAs(this.#kind).decimals), this.#kind);
    const unit = (value: number) => amountWithUnit(this.#kind, value);
    let low = values[0]!;
    let high = values[0]!;
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    const trend = words.spoken(texts.kind(this.#kind), values.length, plain(low), plain(high), plain(values[values.length - 1]!));
    const last = forecast?.points[forecast.points.length - 1];
    if (!last) return trend;
    const end = words.spokenForecast(time.clock(last.at), unit(last.value), unit(last.low ?? last.value), unit(last.high ?? last.value));
    return `${trend} ${end}`;
  }
}

/** Ticks fall a fraction of a second beside the full minute. */
function axisTime(ms: number, span: number): string {
  const tick = Math.round(ms / 1000) * 1000;
  if (span > 100 * DAY) return time.month(tick);
  if (span > 3 * DAY) return time.day(tick);
  const clock = time.clock(tick);
  return span > 20 * 3_600_000 && clock === "00:00" ? time.day(tick) : clock;
}

function fan(forecast: Forecast | null, start: number | null, view: (value: number) => number): ChartData["forecast"] {
  if (!forecast || forecast.points.length === 0) return null;
  const points = [...forecast.points];
  if (start !== null && points[0]!.at > forecast.made) points.unshift({ at: forecast.made, value: start, low: start, high: start });
  return {
    times: points.map((point) => point.at),
    values: points.map((point) => view(point.value)),
    low: points.map((point) => (point.low === null ? null : view(point.low))),
    high: points.map((point) => (point.high === null ? null : view(point.high))),
  };
}
