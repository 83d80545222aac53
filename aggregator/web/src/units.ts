// Numbers in the unit that the viewer chose. Everything else on the page computes in the contract's units; only what is
// shown passes through here.

import { kindInfo, type KindInfo } from "./kinds.ts";
import type { Kind } from "./model.ts";
import { GLUCOSE, TEMPERATURE } from "./prefs.ts";
import * as time from "./time.ts";

/** mmol/L of glucose in one mg/dL: 180.156 g/mol. */
const MMOL = 1 / 18.0156;

interface Conversion {
  readonly unit: string;
  readonly decimals: number;
  readonly factor: number;
  readonly offset: number;
}

const FAHRENHEIT: Conversion = { unit: "°F", decimals: 1, factor: 1.8, offset: 32 };
const MILLIMOLAR: Conversion = { unit: "mmol/L", decimals: 1, factor: MMOL, offset: 0 };
const MILLIMOLAR_RATE: Conversion = { unit: "mmol/L/min", decimals: 2, factor: MMOL, offset: 0 };

function conversion(kind: Kind): Conversion | null {
  const { unit } = kindInfo(kind);
  if (unit === "°C") return TEMPERATURE.get() === "°F" ? FAHRENHEIT : null;
  if (GLUCOSE.get() !== "mmol/L") return null;
  return unit === "mg/dL" ? MILLIMOLAR : unit === "mg/dL/min" ? MILLIMOLAR_RATE : null;
}

/** A value of the contract as the viewer reads it. */
export function shown(kind: Kind, value: number): number {
  const by = conversion(kind);
  return by ? value * by.factor + by.offset : value;
}

/** Unit, decimals and least scale in which a kind is shown. */
export function shownAs(kind: Kind): KindInfo {
  const info = kindInfo(kind);
  const by = conversion(kind);
  if (!by) return info;
  return { unit: by.unit, decimals: by.decimals, scale: [shown(kind, info.scale[0]), shown(kind, info.scale[1])] };
}

export function amount(kind: Kind, value: number): string {
  return time.number(shown(kind, value), shownAs(kind).decimals);
}

export function amountWithUnit(kind: Kind, value: number): string {
  return withUnit(amount(kind, value), kind);
}

/** Number and unit stay on one line. */
export function withUnit(number: string, kind: Kind): string {
  const { unit } = shownAs(kind);
  return unit === "" ? number : `${number}\u00a0${unit}`;
}
