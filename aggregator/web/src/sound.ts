// What the page sounds like, and when. Pure: pulses and moments; audio.ts makes them heard.
//
// Bursts after IEC 60601-1-8: ten pulses for high priority, three for medium, one for low, lower and slower the less
// urgent. The timings lie within the standard's ranges as they are known from monitor manuals; nobody certified them.

import type { Alert, Priority } from "./model.ts";
import { WEIGHT } from "./store.ts";

export interface Pulse {
  /** Seconds from the burst's begin. */
  readonly at: number;
  readonly length: number;
  /** Hertz of the fundamental; four harmonics ride on it. */
  readonly pitch: number;
}

/** Begin of each pulse, in seconds: high is twice "three and two", the second time after a pause. */
const ONSETS: Readonly<Record<Priority, readonly number[]>> = {
  high: [0, 0.25, 0.5, 0.95, 1.2, 1.95, 2.2, 2.45, 2.9, 3.15],
  medium: [0, 0.4, 0.8],
  low: [0],
};
const LENGTH: Readonly<Record<Priority, number>> = { high: 0.15, medium: 0.2, low: 0.22 };
const PITCH: Readonly<Record<Priority, number>> = { high: 660, medium: 523, low: 392 };

export function burst(priority: Priority): Pulse[] {
  return ONSETS[priority].map((at) => ({ at, length: LENGTH[priority], pitch: PITCH[priority] }));
}

/** Milliseconds from one burst's begin to the next while the alert waits; low priority sounds once. */
const AGAIN: Readonly<Record<Priority, number>> = { high: 8_000, medium: 20_000, low: Number.POSITIVE_INFINITY };

/** How long "quiet" lasts, milliseconds: the alarm is paused, never off. */
export const PAUSE = 120_000;

/** The most urgent priority that nobody took notice of and nobody silenced. */
export function ringing(alerts: Iterable<Alert>): Priority | null {
  let most: Priority | null = null;
  for (const { state, snoozedUntil, priority } of alerts) {
    if (state !== "active" || snoozedUntil !== null) continue;
    if (most === null || WEIGHT[priority] > WEIGHT[most]) most = priority;
  }
  return most;
}

/** The most urgent priority that rings, of counts. */
export function loudest(counts: Readonly<Record<Priority, number>>): Priority | null {
  return (["high", "medium", "low"] as const).find((priority) => counts[priority] > 0) ?? null;
}

/** Says when a burst is due. Times are of a monotonic clock, milliseconds. */
export class Bell {
  #last: { priority: Priority; at: number } | null = null;
  #pausedUntil = 0;

  /** Quiet for a while; what is new at high priority ends it. */
  pause(now: number): void {
    this.#pausedUntil = now + PAUSE;
  }

  resume(): void {
    this.#pausedUntil = 0;
    this.#last = null;
  }

  /** When the pause ends; null when there is none. */
  pausedUntil(now: number): number | null {
    return this.#pausedUntil > now ? this.#pausedUntil : null;
  }

  /** An alert that is new, or more urgent than before: it is heard at once, if nothing more urgent sounds already. */
  news(priority: Priority): void {
    if (priority === "high") this.#pausedUntil = 0;
    if (this.#last === null || WEIGHT[priority] >= WEIGHT[this.#last.priority]) this.#last = null;
  }

  /** The burst to play at `now`, where `rings` is the most urgent that waits; null: none. */
  due(now: number, rings: Priority | null): Priority | null {
    if (rings === null) {
      this.#last = null;
      return null;
    }
    if (this.pausedUntil(now) !== null) return null;
    const last = this.#last;
    const urgent = last !== null && WEIGHT[rings] > WEIGHT[last.priority];
    if (last !== null && !urgent && now - last.at < AGAIN[rings]) return null;
    this.#last = { priority: rings, at: now };
    return rings;
  }
}
