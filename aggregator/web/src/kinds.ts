// Measurement kinds: wire numbers, display unit and precision. Mirrors crate `vitals`, module `measure`;
// names for people are in texts.ts.

import type { Kind } from "./model.ts";

export const HEART_RATE = 1;
export const RR_INTERVAL = 2;
export const PULSE_RATE = 4;
export const OXYGEN_SATURATION = 5;
export const RESPIRATORY_RATE = 7;
export const BODY_TEMPERATURE = 8;
export const SYSTOLIC = 11;
export const DIASTOLIC = 12;

export interface KindInfo {
  /** As people write it, not UCUM. */
  readonly unit: string;
  readonly decimals: number;
  /** The scale of a chart always covers this, so that a calm trend looks calm. */
  readonly scale: readonly [number, number];
}

const KINDS: Readonly<Record<Kind, KindInfo>> = {
  1: { unit: "/min", decimals: 0, scale: [50, 110] },
  2: { unit: "ms", decimals: 0, scale: [400, 1200] },
  3: { unit: "kJ", decimals: 0, scale: [0, 100] },
  4: { unit: "/min", decimals: 0, scale: [50, 110] },
  5: { unit: "%", decimals: 0, scale: [88, 100] },
  6: { unit: "%", decimals: 1, scale: [0, 10] },
  7: { unit: "/min", decimals: 0, scale: [8, 26] },
  8: { unit: "°C", decimals: 1, scale: [36, 38.5] },
  9: { unit: "%", decimals: 0, scale: [0, 100] },
  10: { unit: "", decimals: 0, scale: [0, 100] },
  11: { unit: "mmHg", decimals: 0, scale: [90, 160] },
  12: { unit: "mmHg", decimals: 0, scale: [50, 100] },
  13: { unit: "mmHg", decimals: 0, scale: [60, 120] },
  14: { unit: "kg", decimals: 1, scale: [60, 80] },
  15: { unit: "%", decimals: 1, scale: [10, 40] },
  16: { unit: "kg/m²", decimals: 1, scale: [18, 30] },
  17: { unit: "cm", decimals: 0, scale: [150, 190] },
  18: { unit: "kg", decimals: 1, scale: [20, 50] },
  19: { unit: "%", decimals: 1, scale: [20, 60] },
  20: { unit: "kg", decimals: 1, scale: [40, 70] },
  21: { unit: "kg", decimals: 1, scale: [40, 70] },
  22: { unit: "kg", decimals: 1, scale: [30, 60] },
  23: { unit: "Ω", decimals: 0, scale: [300, 700] },
  24: { unit: "kJ/d", decimals: 0, scale: [5000, 9000] },
  25: { unit: "mg/dL", decimals: 0, scale: [70, 180] },
  26: { unit: "mg/dL", decimals: 0, scale: [70, 180] },
  27: { unit: "mg/dL/min", decimals: 1, scale: [-2, 2] },
  28: { unit: "", decimals: 0, scale: [1, 5] },
  29: { unit: "g", decimals: 0, scale: [0, 100] },
  30: { unit: "%", decimals: 1, scale: [4, 8] },
  31: { unit: "", decimals: 0, scale: [0, 100] },
  32: { unit: "ms", decimals: 0, scale: [400, 1200] },
  33: { unit: "°C", decimals: 1, scale: [15, 30] },
};

/** For a kind that this page is too old to know: plain numbers, no unit. */
const UNKNOWN: KindInfo = { unit: "", decimals: 1, scale: [0, 1] };

export function kindInfo(kind: Kind): KindInfo {
  return KINDS[kind] ?? UNKNOWN;
}

/** Order of live values on the patient's page; kinds not named here follow by number. */
export const TILE_ORDER: readonly Kind[] = [1, 5, 7, 8, 4, 11, 12, 13, 26, 25, 10, 3, 6];
/** Not a live value: shown with the device (battery) or the rhythm (RR). */
export const NOT_TILES: readonly Kind[] = [2, 9, 32];
/** What moves or wears down, not what the body does: as `twin::rule::is_about_the_body`. */
export const NOT_BODY: readonly Kind[] = [3, 9, 10, 31, 33];
/** Kinds whose trend is drawn, in order. */
export const TREND_ORDER: readonly Kind[] = [1, 5, 7, 8, 26, 25, 2, 4, 11, 12];
/** Kinds whose forecast threshold is a lower one; of all others it is an upper one. */
export const BAD_BELOW: readonly Kind[] = [OXYGEN_SATURATION];
/** What the worklist shows when no alert points elsewhere, best first. */
export const KEY_ORDER: readonly Kind[] = [5, 1, 4, 7, 8];

// Bits of vitals::Quality.
export const NO_CONTACT = 1;
export const QUESTIONABLE = 2;
export const IMPLAUSIBLE = 4;
export const CLOCK_REPAIRED = 8;
export const ESTIMATE = 16;
export const DEVICE_TEST = 32;

/** False when a flag takes the number's meaning away (as vitals::Quality::usable). */
export function usable(quality: number): boolean {
  return (quality & (NO_CONTACT | IMPLAUSIBLE | DEVICE_TEST)) === 0;
}
