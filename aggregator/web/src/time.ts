// The centre's clock as the page knows it, and times for people in their own zone and locale.
//
// Ages must be judged by the centre's clock: under a test clock it runs at another rate than the browser's.

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

const narrow = (unit: string) =>
  new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: 0 });
const UNITS = { second: narrow("second"), minute: narrow("minute"), hour: narrow("hour"), day: narrow("day") };

/** A span for a tight place: 4s, 12m, 3h, 2d. Rounded down; negative counts as zero. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return UNITS.second.format(seconds);
  if (seconds < 3600) return UNITS.minute.format(Math.floor(seconds / 60));
  if (seconds < 2 * 86_400) return UNITS.hour.format(Math.floor(seconds / 3600));
  return UNITS.day.format(Math.floor(seconds / 86_400));
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const CLOCK_SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function clock(ms: number): string {
  return CLOCK.format(ms);
}

export function clockSeconds(ms: number): string {
  return CLOCK_SECONDS.format(ms);
}

export function full(ms: number): string {
  return FULL.format(ms);
}

export function day(ms: number): string {
  return DAY.format(ms);
}

/** For the `datetime` attribute. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

const NUMBERS = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });

export function number(value: number, decimals: number): string {
  return (NUMBERS[decimals] ?? NUMBERS[1])!.format(value);
}

/** A share from 0 to 1 as a percentage. */
export function percent(share: number): string {
  return PERCENT.format(share);
}
