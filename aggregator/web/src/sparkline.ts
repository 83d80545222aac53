// A trend in the size of a word: mean and extremes over time, personal band, last value. No axes; the numbers
// are beside it.

import { kindInfo } from "./kinds.ts";
import type { Interval, Kind } from "./model.ts";
import { set, svg } from "./dom.ts";

const WIDTH = 160;
const HEIGHT = 40;
const PAD = 4;
const BUCKETS = 64;

export interface SparklineData {
  readonly kind: Kind;
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly band: Interval | null;
  readonly from: number;
  readonly to: number;
  readonly label: string;
}

export class Sparkline {
  readonly root: SVGSVGElement;
  readonly #band = svg("rect", { class: "spark-band", x: 0, width: WIDTH, rx: 2 });
  readonly #extremes = svg("path", { class: "spark-extremes" });
  readonly #line = svg("path", { class: "spark-line", "vector-effect": "non-scaling-stroke" });
  readonly #dot = svg("circle", { class: "spark-dot", r: 2.75 });

  constructor() {
    this.root = svg(
      "svg",
      { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": "–", preserveAspectRatio: "xMinYMid" },
      this.#band,
      this.#extremes,
      this.#line,
      this.#dot,
    );
  }

  update(data: SparklineData): void {
    set(this.root, "aria-label", data.label);
    const [low, high] = scale(data);
    const x = (time: number) => PAD + ((time - data.from) / Math.max(1, data.to - data.from)) * (WIDTH - 2 * PAD);
    const y = (value: number) => PAD + ((high - value) / (high - low)) * (HEIGHT - 2 * PAD);
    if (data.band) {
      const top = Math.max(0, y(data.band.high));
      const bottom = Math.min(HEIGHT, y(data.band.low));
      set(this.#band, "y", top.toFixed(1));
      set(this.#band, "height", Math.max(0, bottom - top).toFixed(1));
    }
    set(this.#band, "visibility", data.band ? null : "hidden");
    let line = "";
    let area = "";
    let last: { time: number; mean: number } | null = null;
    for (const run of runs(data)) {
      const at = (time: number, value: number) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
      line += `M${run.map((bucket) => at(bucket.time, bucket.mean)).join("L")}`;
      const there = run.map((bucket) => at(bucket.time, bucket.high));
      const back = run.map((bucket) => at(bucket.time, bucket.low)).reverse();
      area += `M${[...there, ...back].join("L")}Z`;
      last = run[run.length - 1] ?? last;
    }
    set(this.#line, "d", line);
    set(this.#extremes, "d", area);
    set(this.#dot, "visibility", last ? null : "hidden");
    if (last) {
      set(this.#dot, "cx", x(last.time).toFixed(1));
      set(this.#dot, "cy", y(last.mean).toFixed(1));
    }
  }
}

interface Bucket {
  time: number;
  mean: number;
  low: number;
  high: number;
  count: number;
}

/** Buckets of the readings, in stretches without a break. Extremes stay visible however many readings there are. */
function runs(data: SparklineData): Bucket[][] {
  const width = Math.max(1, (data.to - data.from) / BUCKETS);
  const found: Bucket[][] = [];
  let run: Bucket[] = [];
  let place = -1;
  data.times.forEach((time, i) => {
    const value = data.values[i];
    if (value == null) {
      run = [];
      return;
    }
    if (run.length === 0) {
      found.push(run);
      place = -1;
    }
    const here = Math.floor((time - data.from) / width);
    const bucket = run[run.length - 1];
    if (bucket === undefined || here !== place) run.push({ time, mean: value, low: value, high: value, count: 1 });
    else {
      bucket.count += 1;
      bucket.mean += (value - bucket.mean) / bucket.count;
      bucket.low = Math.min(bucket.low, value);
      bucket.high = Math.max(bucket.high, value);
      bucket.time = time;
    }
    place = here;
  });
  return found;
}

/** Covers values and band, and never less than half of the kind's usual scale, so that noise looks small. */
function scale(data: SparklineData): [number, number] {
  let low = data.band?.low ?? Number.POSITIVE_INFINITY;
  let high = data.band?.high ?? Number.NEGATIVE_INFINITY;
  for (const value of data.values) {
    if (value == null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const usual = kindInfo(data.kind).scale;
  if (low > high) [low, high] = usual;
  const least = (usual[1] - usual[0]) / 2;
  if (high - low < least) {
    const middle = (low + high) / 2;
    [low, high] = [middle - least / 2, middle + least / 2];
  }
  return [low, high];
}
