// Trends as parallel lists in time order, without doubles. Holds past readings and live ones alike.

export class Series {
  readonly times: number[] = [];
  readonly values: number[] = [];

  get length(): number {
    return this.times.length;
  }

  get first(): number | null {
    return this.times[0] ?? null;
  }

  get last(): number | null {
    return this.times[this.times.length - 1] ?? null;
  }

  /** Adds one reading where it belongs; a time that is there already keeps its value. True if added. */
  add(time: number, value: number): boolean {
    const at = lowerBound(this.times, time);
    if (this.times[at] === time) return false;
    this.times.splice(at, 0, time);
    this.values.splice(at, 0, value);
    return true;
  }

  /** Adds readings that are in time order. */
  merge(times: readonly number[], values: readonly number[]): void {
    const last = this.last;
    if (times.length === 0) return;
    if (last === null || times[0]! > last) {
      let previous = last ?? Number.NEGATIVE_INFINITY;
      times.forEach((time, i) => {
        if (time <= previous) return;
        previous = time;
        this.times.push(time);
        this.values.push(values[i]!);
      });
      return;
    }
    const oldTimes = this.times.splice(0);
    const oldValues = this.values.splice(0);
    let i = 0;
    let j = 0;
    while (i < oldTimes.length || j < times.length) {
      const a = oldTimes[i] ?? Number.POSITIVE_INFINITY;
      const b = times[j] ?? Number.POSITIVE_INFINITY;
      const [time, value] = a <= b ? [a, oldValues[i]!] : [b, values[j]!];
      if (a <= b) i += 1;
      if (b <= a) j += 1;
      if (time !== this.last) {
        this.times.push(time);
        this.values.push(value);
      }
    }
  }

  /** Forgets what is older than `time`. */
  trim(time: number): void {
    const at = lowerBound(this.times, time);
    this.times.splice(0, at);
    this.values.splice(0, at);
  }

  /** The part in [from, to], with a `null` where readings are further apart than `gap`, so that no line bridges what was not measured. */
  window(from: number, to: number, gap: number): { times: number[]; values: (number | null)[] } {
    const times: number[] = [];
    const values: (number | null)[] = [];
    for (let i = lowerBound(this.times, from); i < this.times.length; i += 1) {
      const time = this.times[i]!;
      if (time > to) break;
      const previous = times[times.length - 1];
      if (previous !== undefined && time - previous > gap) {
        times.push(previous + 1);
        values.push(null);
      }
      times.push(time);
      values.push(this.values[i]!);
    }
    return { times, values };
  }

  /** A gap that readings of this density do not show by themselves: eight times the median distance, at least `least`. */
  gap(least: number): number {
    const steps: number[] = [];
    const stride = Math.max(1, Math.floor(this.times.length / 200));
    for (let i = stride; i < this.times.length; i += stride) steps.push((this.times[i]! - this.times[i - stride]!) / stride);
    steps.sort((a, b) => a - b);
    return Math.max(least, 8 * (steps[Math.floor(steps.length / 2)] ?? 0));
  }
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  // Live readings are appended: look at the end first.
  if (high > 0 && sorted[high - 1]! < value) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
