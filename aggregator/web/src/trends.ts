// Readings by patient, kind and source, for sparklines and charts: what live values brought, completed by the
// centre's history. Bounded: what no view needs is forgotten.

import { usable } from "./kinds.ts";
import type { HistorySlice, Kind, Twin } from "./model.ts";
import { Series } from "./series.ts";

export interface Line {
  readonly source: number;
  readonly series: Series;
  /** Extremes around the means of `series`; empty where it has single readings. */
  readonly low: Series;
  readonly high: Series;
}

export interface PastQuery {
  readonly patient: string;
  readonly kinds: readonly Kind[];
  readonly from: number;
  readonly to: number;
  /** Readings per kind at most, of single ones; 0: all. */
  readonly most: number;
  /** As it was known then; absent: now. */
  readonly knownAt?: number;
}

/** How fine a past of this length is asked for: a chart has some hundred pixels. */
export function grain(span: number): "raw" | "minute" | "hour" {
  if (span <= 2 * 86_400_000) return "raw";
  return span <= 8 * 86_400_000 ? "minute" : "hour";
}

export type FetchPast = (
  query: PastQuery,
  take: (slice: HistorySlice) => void,
  signal: AbortSignal,
) => Promise<void>;

/** Queries under way at the same time, so that a long worklist does not crowd out the streams. */
const AT_ONCE = 3;
/** Kept for a patient whose page is not open. */
export const SHORT_KEEP = 45 * 60_000;
export const LONG_KEEP = 25 * 3_600_000;

export class Trends {
  /** Only patients that some view asked for: of all others live values are not kept. */
  readonly #patients = new Map<string, Map<Kind, Map<number, Line>>>();
  readonly #fetch: FetchPast;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(fetch: FetchPast) {
    this.#fetch = fetch;
  }

  /** Appends the live values of a twin, if its patient's past was asked for. */
  take(twin: Twin): void {
    if (!this.#patients.has(twin.patient)) return;
    for (const channel of twin.channels) {
      if (channel.value === null || !usable(channel.quality)) continue;
      this.#series(twin.patient, channel.kind, channel.source).series.add(channel.effective, channel.value);
    }
  }

  /** Lines of a kind, the one with most readings first. */
  lines(patient: string, kind: Kind): Line[] {
    const sources = this.#patients.get(patient)?.get(kind);
    if (!sources) return [];
    return [...sources.values()]
      .filter((line) => line.series.length > 0)
      .sort((a, b) => b.series.length - a.series.length || a.source - b.source);
  }

  /** Completes from the centre's history; rejects if that fails or `signal` aborts. */
  async load(query: PastQuery, signal: AbortSignal): Promise<void> {
    this.#kinds(query.patient);
    await this.#turn();
    try {
      signal.throwIfAborted();
      await this.#fetch(query, (slice) => this.#complete(query.patient, slice), signal);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Forgets what is older than the views need; `open` is the patient whose page is open. */
  trim(now: number, open: string | null): void {
    for (const [patient, kinds] of this.#patients) {
      const oldest = now - (patient === open ? LONG_KEEP : SHORT_KEEP);
      for (const sources of kinds.values()) for (const { series } of sources.values()) series.trim(oldest);
    }
  }

  /** No view shows this patient any more. */
  forget(patient: string): void {
    this.#patients.delete(patient);
  }

  clear(): void {
    this.#patients.clear();
  }

  #complete(patient: string, slice: HistorySlice): void {
    // Forgotten while the answer was on its way.
    if (!this.#patients.has(patient)) return;
    const times: number[] = [];
    const values: number[] = [];
    slice.times.forEach((time, i) => {
      if (!usable(slice.quality[i] ?? 0)) return;
      times.push(time);
      values.push(slice.values[i]!);
    });
    const line = this.#series(patient, slice.kind, slice.source);
    line.series.merge(times, values);
    if (slice.low.length === 0) return;
    line.low.merge(slice.times, slice.low);
    line.high.merge(slice.times, slice.high);
  }

  #kinds(patient: string): Map<Kind, Map<number, Line>> {
    let kinds = this.#patients.get(patient);
    if (!kinds) this.#patients.set(patient, (kinds = new Map()));
    return kinds;
  }

  #series(patient: string, kind: Kind, source: number): Line {
    const kinds = this.#kinds(patient);
    let sources = kinds.get(kind);
    if (!sources) kinds.set(kind, (sources = new Map()));
    let line = sources.get(source);
    if (!line) sources.set(source, (line = { source, series: new Series(), low: new Series(), high: new Series() }));
    return line;
  }

  async #turn(): Promise<void> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
  }
}
