// The centre's clock as the page knows it, and times for people in their own zone and locale.
//
// Ages must be judged by the centre's clock: under a test clock it runs at another rate than the browser's.

import { language, ZONE } from "./prefs.ts";

/** Estimates the centre's time from a monotonic local clock (`performance.now()`), passed in. */
export class CentreClock {
  #base: { centre: number; local: number } | null = null;
  #rate = 1;
  #told = false;
  #first: { centre: number; local: number } | null = null;

  /** The centre said what time it is and how fast its clock runs. */
  told(centre: number, rate: number, local: number): void {
    this.#base = { centre, local };
    this.#rate = rate;
    this.#told = true;
  }

  /**
   * An event known at `centre` arrived: the centre's time is at least that. Without `told`, `rateMayDiffer`
   * lets the rate be learned from how known times advance.
   */
  observed(centre: number, local: number, rateMayDiffer: boolean): void {
    if (!this.#told && rateMayDiffer) {
      this.#first ??= { centre, local };
      const wall = local - this.#first.local;
      if (wall > 3000) this.#rate = Math.max(1, (centre - this.#first.centre) / wall);
    }
    if (this.#base === null || centre > this.now(local)) this.#base = { centre, local };
  }

  get known(): boolean {
    return this.#base !== null;
  }

  get rate(): number {
    return this.#rate;
  }

  now(local: number): number {
    return this.#base === null ? 0 : this.#base.centre + (local - this.#base.local) * this.#rate;
  }
}

/** German as chosen; English with the browser's own customs where it speaks English. */
function locale(): string {
  if (language() === "de") return "de-DE";
  const own = globalThis.navigator?.language ?? "";
  return own.startsWith("en") ? own : "en-GB";
}

const LOCALE = locale();

const narrow = (unit: string) => new Intl.NumberFormat(LOCALE, { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: 0 });
const UNITS = { second: narrow("second"), minute: narrow("minute"), hour: narrow("hour"), day: narrow("day") };

/** A span for a tight place: 4s, 12m, 3h, 2d. Rounded down; negative counts as zero. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return UNITS.second.format(seconds);
  if (seconds < 3600) return UNITS.minute.format(Math.floor(seconds / 60));
  if (seconds < 2 * 86_400) return UNITS.hour.format(Math.floor(seconds / 3600));
  return UNITS.day.format(Math.floor(seconds / 86_400));
}

// Round the clock: a shift has no morning and afternoon.
const formats = (timeZone: string | undefined) => {
  const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(LOCALE, { hourCycle: "h23", timeZone, ...options });
  return {
    clock: format({ hour: "2-digit", minute: "2-digit" }),
    seconds: format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    full: new Intl.DateTimeFormat(LOCALE, { hourCycle: "h23", timeZone, dateStyle: "medium", timeStyle: "long" }),
    day: format({ day: "numeric", month: "short" }),
    month: format({ month: "short", year: "2-digit" }),
  };
};

const OWN_ZONE = ZONE.get() === "utc" ? "UTC" : undefined;
let FORMATS = formats(OWN_ZONE);

/** True for a name that this browser has a clock for. */
export function isZone(name: string): boolean {
  try {
    return name !== "" && new Intl.DateTimeFormat("en", { timeZone: name }) !== null;
  } catch {
    return false;
  }
}

/** All times from here on in this zone; null: in the viewer's own choice. */
export function useZone(name: string | null): void {
  FORMATS = formats(name ?? OWN_ZONE);
}

/** The zone in which times are shown at the moment. */
export function zone(): string {
  return FORMATS.clock.resolvedOptions().timeZone;
}

/** The clock in another zone, for one line beside the rest. */
export function clockIn(ms: number, name: string): string {
  return formats(name).clock.format(ms);
}

export function clock(ms: number): string {
  return FORMATS.clock.format(ms);
}

export function clockSeconds(ms: number): string {
  return FORMATS.seconds.format(ms);
}

export function full(ms: number): string {
  return FORMATS.full.format(ms);
}

export function day(ms: number): string {
  return FORMATS.day.format(ms);
}

export function month(ms: number): string {
  return FORMATS.month.format(ms);
}

/** For the `datetime` attribute. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

const NUMBERS = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const PERCENT = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });

export function number(value: number, decimals: number): string {
  return (NUMBERS[decimals] ?? NUMBERS[1])!.format(value);
}

/** A share from 0 to 1 as a percentage. */
export function percent(share: number): string {
  return PERCENT.format(share);
}
