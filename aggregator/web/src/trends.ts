// Readings by patient, kind and source, for sparklines and charts: what live values brought, completed by the
// centre's history. Bounded: what no view needs is forgotten.

import { usable } from "./kinds.ts";
import type { HistorySlice, Kind, Twin } from "./model.ts";
import { Series } from "./series.ts";

export interface Line {
  readonly source: number;
  readonly series: Series;
}

export type FetchPast = (
  query: { patient: string; kinds: readonly Kind[]; from: number; to: number; most: number },
  take: (slice: HistorySlice) => void,
  signal: AbortSignal,
) => Promise<void>;

/** Queries under way at the same time, so that a long worklist does not crowd out the streams. */
const AT_ONCE = 3;
/** Kept for a patient whose page is not open. */
export const SHORT_KEEP = 45 * 60_000;
export const LONG_KEEP = 25 * 3_600_000;

export class Trends {
  readonly #patients = new Map<string, Map<Kind, Map<number, Series>>>();
  readonly #fetch: FetchPast;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(fetch: FetchPast) {
    this.#fetch = fetch;
  }

  /** Appends the live values of a twin. */
  take(twin: Twin): void {
    for (const channel of twin.channels) {
      if (channel.value === null || !usable(channel.quality)) continue;
      this.#series(twin.patient, channel.kind, channel.source).add(channel.effective, channel.value);
    }
  }

  /** Lines of a kind, the one with most readings first. */
  lines(patient: string, kind: Kind): Line[] {
    const sources = this.#patients.get(patient)?.get(kind);
    if (!sources) return [];
    return [...sources]
      .map(([source, series]) => ({ source, series }))
      .filter((line) => line.series.length > 0)
      .sort((a, b) => b.series.length - a.series.length || a.source - b.source);
  }

  /** Completes from the centre's history; rejects if that fails or `signal` aborts. */
  async load(
    query: { patient: string; kinds: readonly Kind[]; from: number; to: number; most: number },
    signal: AbortSignal,
  ): Promise<void> {
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
      for (const sources of kinds.values()) for (const series of sources.values()) series.trim(oldest);
    }
  }

  clear(): void {
    this.#patients.clear();
  }

  #complete(patient: string, slice: HistorySlice): void {
    const times: number[] = [];
    const values: number[] = [];
    slice.times.forEach((time, i) => {
      if (!usable(slice.quality[i] ?? 0)) return;
      times.push(time);
      values.push(slice.values[i]!);
    });
    this.#series(patient, slice.kind, slice.source).merge(times, values);
  }

  #series(patient: string, kind: Kind, source: number): Series {
    let kinds = this.#patients.get(patient);
    if (!kinds) this.#patients.set(patient, (kinds = new Map()));
    let sources = kinds.get(kind);
    if (!sources) kinds.set(kind, (sources = new Map()));
    let series = sources.get(source);
    if (!series) sources.set(source, (series = new Series()));
    return series;
  }

  async #turn(): Promise<void> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
  }
}
