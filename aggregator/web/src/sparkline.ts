// A trend in the size of a word: line, personal band, last value. Scalable, no axes; the numbers are beside it.

import { kindInfo } from "./kinds.ts";
import type { Interval, Kind } from "./model.ts";
import { thin } from "./series.ts";
import { set, svg } from "./dom.ts";

const WIDTH = 160;
const HEIGHT = 40;
const PAD = 4;

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
  readonly #line = svg("path", { class: "spark-line", "vector-effect": "non-scaling-stroke" });
  readonly #dot = svg("circle", { class: "spark-dot", r: 2.75 });

  constructor() {
    this.root = svg(
      "svg",
      { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", preserveAspectRatio: "xMinYMid" },
      this.#band,
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
    let path = "";
    let pen = false;
    let last: [number, number] | null = null;
    data.times.forEach((time, i) => {
      const value = data.values[i];
      if (value == null) {
        pen = false;
        return;
      }
      last = [x(time), y(value)];
      path += `${pen ? "L" : "M"}${last[0].toFixed(1)} ${last[1].toFixed(1)}`;
      pen = true;
    });
    set(this.#line, "d", path);
    set(this.#dot, "visibility", last ? null : "hidden");
    if (last) {
      set(this.#dot, "cx", (last as [number, number])[0].toFixed(1));
      set(this.#dot, "cy", (last as [number, number])[1].toFixed(1));
    }
  }
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

/** As many points as a sparkline can show. */
export function forSparkline(times: readonly number[], values: readonly (number | null)[]): [number[], (number | null)[]] {
  return thin(times, values, WIDTH);
}
