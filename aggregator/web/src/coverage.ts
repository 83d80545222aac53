// What a stretch of time was, cut to what is shown, and its shares in percent. Pure.

import type { CoverageClass, Stretch } from "./model.ts";

export interface Share {
  readonly what: CoverageClass;
  /** Whole percent; all shares together make 100. 0: less than half of one. */
  readonly percent: number;
  /** Milliseconds. */
  readonly time: number;
}

/** The part of the stretches that lies in [from, to); without what no sensor was assigned in. */
export function within(stretches: readonly Stretch[], from: number, to: number): Stretch[] {
  return stretches
    .filter((stretch) => stretch.what !== "unassigned" && stretch.from < to && stretch.to > from)
    .map((stretch) => ({ ...stretch, from: Math.max(stretch.from, from), to: Math.min(stretch.to, to) }));
}

/** Measured first, then the largest; rounded so that the sum is 100 (largest remainder). */
export function shares(stretches: readonly Stretch[]): Share[] {
  const times = new Map<CoverageClass, number>();
  for (const { what, from, to } of stretches) times.set(what, (times.get(what) ?? 0) + (to - from));
  const whole = [...times.values()].reduce((sum, time) => sum + time, 0);
  if (whole <= 0) return [];
  const exact = [...times].map(([what, time]) => ({ what, time, share: (100 * time) / whole }));
  exact.sort((a, b) => Number(b.what === "measured") - Number(a.what === "measured") || b.time - a.time);
  let left = 100 - exact.reduce((sum, { share }) => sum + Math.floor(share), 0);
  const upwards = [...exact].sort((a, b) => (b.share % 1) - (a.share % 1)).filter(() => left-- > 0);
  return exact.map((one) => ({ what: one.what, time: one.time, percent: Math.floor(one.share) + Number(upwards.includes(one)) }));
}
