// The only file that names uPlot. One trend: measured lines, personal band, forecast fan, limits, now.
// Colours come from the style sheet's custom properties, so light, dark and forced colours stay in one place.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Interval } from "./model.ts";

export interface ChartLine {
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
}

export interface ChartData {
  /** One per source; the first is the main one. */
  readonly lines: readonly ChartLine[];
  /** Lowest and highest of each stretch, around the first line's means. */
  readonly extremes: { times: readonly number[]; low: readonly number[]; high: readonly number[] } | null;
  readonly forecast: { times: number[]; values: number[]; low: (number | null)[]; high: (number | null)[] } | null;
  readonly band: Interval | null;
  readonly limits: readonly { value: number; label: string }[];
  readonly from: number;
  readonly to: number;
  readonly now: number;
  /** What stands at the line between what was and what is foreseen. */
  readonly nowLabel: string;
  readonly scale: readonly [number, number];
  /** Points instead of a line: for beats. */
  readonly dots: boolean;
  /** What people wrote at a moment, or from then to `to`. */
  readonly notes: readonly { from: number; to: number | null; number: number }[];
}

export interface ChartText {
  axisTime(ms: number, spanMs: number): string;
  axisValue(value: number): string;
}

/** Null: the pointer left. */
export type Readout = (at: { time: number; value: number | null; forecast: number | null } | null) => void;

interface Palette {
  ink: string;
  muted: string;
  grid: string;
  lines: string[];
  forecast: string;
  fan: string;
  extremes: string;
  band: string;
  limit: string;
  surface: string;
}

function palette(host: HTMLElement): Palette {
  const style = getComputedStyle(host);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: colour("--ink"),
    muted: colour("--muted"),
    grid: colour("--grid"),
    lines: [colour("--series"), colour("--series-2"), colour("--series-3")],
    forecast: colour("--forecast"),
    fan: colour("--fan"),
    extremes: colour("--extremes"),
    band: colour("--band"),
    limit: colour("--limit"),
    surface: colour("--surface"),
  };
}

const HEIGHT = 176;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export class TrendChart {
  readonly #host: HTMLElement;
  readonly #text: ChartText;
  readonly #readout: Readout;
  readonly #sync: string;
  readonly #observer: ResizeObserver;
  #plot: uPlot | null = null;
  #shape = "";
  #data: ChartData | null = null;

  /** Charts with the same `sync` share the crosshair. */
  constructor(host: HTMLElement, text: ChartText, sync: string, readout: Readout) {
    this.#host = host;
    this.#text = text;
    this.#readout = readout;
    this.#sync = sync;
    this.#observer = new ResizeObserver(() => {
      if (this.#host.clientWidth > 0) this.#plot?.setSize({ width: this.#host.clientWidth, height: HEIGHT });
    });
    this.#observer.observe(host);
  }

  update(data: ChartData): void {
    this.#data = data;
    const shape = `${data.lines.length}|${data.forecast !== null}|${data.extremes !== null}|${data.dots}`;
    const table = aligned(data);
    if (this.#plot === null || shape !== this.#shape) {
      this.#plot?.destroy();
      this.#shape = shape;
      this.#plot = new uPlot(this.#options(data), table, this.#host);
    } else this.#plot.setData(table, true);
  }

  /** After the theme changed. */
  repaint(): void {
    this.#shape = "";
    if (this.#data) this.update(this.#data);
  }

  destroy(): void {
    this.#observer.disconnect();
    this.#plot?.destroy();
    this.#plot = null;
  }

  #options(first: ChartData): uPlot.Options {
    const colours = palette(this.#host);
    const lineCount = first.lines.length;
    const series: uPlot.Series[] = [{}];
    first.lines.forEach((_, i) => {
      const stroke = colours.lines[i % colours.lines.length]!;
      series.push(
        first.dots
          ? { stroke, width: 0, paths: () => null, points: { show: true, size: 3, fill: stroke, width: 0 } }
          : // Sparse readings (a cuff, a thermometer) show as points too.
            { stroke, width: 1.75, points: { size: 5, fill: stroke, width: 0 }, spanGaps: false },
      );
    });
    if (first.forecast) {
      series.push({ stroke: colours.forecast, width: 2, dash: [5, 4], points: { show: false } });
      series.push({ stroke: colours.fan, width: 1, points: { show: false } });
      series.push({ stroke: colours.fan, width: 1, points: { show: false } });
    }
    if (first.extremes) {
      for (let i = 0; i < 2; i += 1) series.push({ stroke: "transparent", width: 0, points: { show: false } });
    }
    const axis = { stroke: colours.muted, font: FONT, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
    const options: uPlot.Options = {
      width: Math.max(200, this.#host.clientWidth),
      height: HEIGHT,
      ms: 1,
      padding: [10, 22, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: false, y: false },
        sync: { key: this.#sync, setSeries: false },
        points: { size: 7 },
        y: false,
      },
      scales: {
        x: { time: true, range: () => [this.#data?.from ?? 0, this.#data?.to ?? 1] },
        y: { range: (_, low, high) => this.#yRange(low, high) },
      },
      axes: [
        { ...axis, size: 28, gap: 6, space: 72, values: (u, splits) => this.#times(u, splits) },
        { ...axis, size: 44, gap: 6, space: 30, values: (_, splits) => splits.map((v) => this.#text.axisValue(v)) },
      ],
      series,
      hooks: {
        drawClear: [(u) => this.#underlay(u, colours)],
        draw: [(u) => this.#overlay(u, colours)],
        setCursor: [(u) => this.#point(u, lineCount)],
      },
    };
    options.bands = [];
    if (first.forecast) options.bands.push({ series: [lineCount + 3, lineCount + 2], fill: colours.fan });
    const last = series.length - 1;
    if (first.extremes) options.bands.push({ series: [last, last - 1], fill: colours.extremes });
    return options;
  }

  #times(u: uPlot, splits: number[]): string[] {
    const span = (u.scales["x"]?.max ?? 0) - (u.scales["x"]?.min ?? 0);
    return splits.map((ms) => this.#text.axisTime(ms, span));
  }

  #yRange(dataLow: number | null, dataHigh: number | null): [number, number] {
    const data = this.#data;
    let [low, high] = data?.scale ?? [0, 1];
    const cover = (value: number | null | undefined) => {
      if (value == null || !Number.isFinite(value)) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    };
    cover(dataLow);
    cover(dataHigh);
    cover(data?.band?.low);
    cover(data?.band?.high);
    for (const limit of data?.limits ?? []) cover(limit.value);
    const pad = (high - low) * 0.04;
    return [low - pad, high + pad];
  }

  /** Personal band, below everything. */
  #underlay(u: uPlot, colours: Palette): void {
    const band = this.#data?.band;
    if (!band) return;
    const top = u.valToPos(band.high, "y", true);
    const bottom = u.valToPos(band.low, "y", true);
    u.ctx.save();
    u.ctx.fillStyle = colours.band;
    u.ctx.fillRect(u.bbox.left, top, u.bbox.width, bottom - top);
    u.ctx.restore();
  }

  /** Limits and the line between what was and what is foreseen. */
  #overlay(u: uPlot, colours: Palette): void {
    const data = this.#data;
    if (!data) return;
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = FONT.replace("12px", `${11 * ratio}px`);
    ctx.lineWidth = ratio;
    for (const limit of data.limits) {
      const y = Math.round(u.valToPos(limit.value, "y", true)) + 0.5;
      ctx.strokeStyle = colours.limit;
      ctx.setLineDash([2 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.fillStyle = colours.limit;
      ctx.textAlign = "left";
      const below = y - bbox.top < 14 * ratio;
      ctx.textBaseline = below ? "top" : "bottom";
      // A halo, so that the words stay readable on the line.
      ctx.setLineDash([]);
      ctx.lineWidth = 4 * ratio;
      ctx.strokeStyle = colours.surface;
      ctx.strokeText(limit.label, bbox.left + 4 * ratio, y + (below ? 3 : -2) * ratio);
      ctx.lineWidth = ratio;
      ctx.fillText(limit.label, bbox.left + 4 * ratio, y + (below ? 3 : -2) * ratio);
    }
    this.#notes(u, colours, ratio);
    const x = Math.round(u.valToPos(data.now, "x", true)) + 0.5;
    if (x > bbox.left && x < bbox.left + bbox.width - 2) {
      ctx.strokeStyle = colours.muted;
      ctx.setLineDash([]);
      ctx.globalAlpha = 0.6;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.globalAlpha = 1;
      ctx.fillStyle = colours.muted;
      // Beside the axis there is no room for it.
      const right = x - bbox.left > 40 * ratio;
      ctx.textAlign = right ? "right" : "left";
      ctx.textBaseline = "top";
      ctx.fillText(data.nowLabel, x + (right ? -4 : 4) * ratio, bbox.top + 2 * ratio);
    }
    ctx.restore();
  }

  /** A number at the foot of a line where it is about a moment, over its stretch where it lasts. */
  #notes(u: uPlot, colours: Palette, ratio: number): void {
    const { ctx, bbox } = u;
    const [left, right, foot] = [bbox.left, bbox.left + bbox.width, bbox.top + bbox.height];
    for (const note of this.#data?.notes ?? []) {
      const x = Math.round(Math.max(left, u.valToPos(note.from, "x", true))) + 0.5;
      const end = note.to === null ? x : Math.min(right, u.valToPos(note.to, "x", true));
      ctx.globalAlpha = 0.12;
      ctx.fillStyle = colours.ink;
      ctx.fillRect(x, bbox.top, end - x, bbox.height);
      ctx.globalAlpha = 1;
      ctx.strokeStyle = colours.ink;
      ctx.setLineDash([4 * ratio, 2 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, foot);
      ctx.stroke();
      ctx.setLineDash([]);
      const size = 15 * ratio;
      const at = Math.min(x, right - size);
      ctx.fillRect(at, foot - size, size, size);
      ctx.fillStyle = colours.surface;
      ctx.textAlign = "center";
      ctx.textBaseline = "middle";
      ctx.fillText(String(note.number), at + size / 2, foot - size / 2);
    }
  }

  #point(u: uPlot, lineCount: number): void {
    const at = u.cursor.idx;
    const time = at == null ? undefined : u.data[0][at];
    if (at == null || time === undefined || (u.cursor.left ?? -1) < 0) {
      this.#readout(null);
      return;
    }
    let value: number | null = null;
    for (let i = 1; i <= lineCount; i += 1) value ??= u.data[i]?.[at] ?? null;
    this.#readout({ time, value, forecast: this.#data?.forecast ? (u.data[lineCount + 1]?.[at] ?? null) : null });
  }
}

/** All series over one time axis. Without any point uPlot draws no axes: the edges of the window stand in. */
function aligned(data: ChartData): uPlot.AlignedData {
  const tables: uPlot.AlignedData[] = data.lines.map((line) => [line.times as number[], line.values as (number | null)[]]);
  if (data.forecast) {
    const { times, values, low, high } = data.forecast;
    tables.push([times, values, low, high]);
  }
  if (data.extremes) {
    const { times, low, high } = data.extremes;
    tables.push([times as number[], low as number[], high as number[]]);
  }
  // Alignment leaves `undefined` where a series has no point, which a line passes over; `null` breaks it.
  return tables.length > 0 ? uPlot.join(tables) : [[data.from, data.to]];
}
