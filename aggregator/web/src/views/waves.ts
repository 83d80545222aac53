// Waveforms as a strip: the newest seconds, drawn as they come, or any earlier ones. Ten seconds a line, so that a beat
// has the width that people who read ECG strips know.

import { h, set, show, text } from "../dom.ts";
import type { WaveBlock } from "../model.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";
import type { App } from "./parts.ts";

const words = texts.waves;
/** One strip shows so much; a step goes so far. */
const SPAN = 10_000;
/** How far back the newest is looked for: bursts come behind. */
const BACK = 120_000;
const EVERY = 2000;
const HEIGHT = 130;

export class WavesSection {
  readonly root: HTMLElement;
  readonly #app: App;
  readonly #patient: string;
  readonly #canvas = h("canvas", { class: "wave", role: "img", height: HEIGHT });
  readonly #when = h("p", { class: "hint" });
  readonly #none = h("p", { class: "muted" }, words.loading);
  readonly #kind = h("div", { class: "segmented wave-kinds", role: "group", "aria-label": words.which });
  readonly #box = h("div", { hidden: true });
  readonly #newest: HTMLButtonElement;
  readonly #stop = new AbortController();
  /** End of the strip; null: the newest. */
  #end: number | null = null;
  #wave: number | null = null;
  #blocks: readonly WaveBlock[] = [];
  #asked = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(app: App, patient: string) {
    this.#app = app;
    this.#patient = patient;
    const button = (label: string, act: () => void) => h("button", { class: "button", type: "button", onclick: act }, label);
    this.#newest = button(words.newest, () => this.#go(null));
    const steps = h("div", { class: "buttons" }, button(words.back, () => this.#step(-SPAN)), button(words.ahead, () => this.#step(SPAN)), this.#newest, this.#kind);
    this.#box.append(this.#canvas, this.#when);
    this.root = h("section", { class: "part part-waves", hidden: true, "aria-labelledby": "part-waves" }, h("div", { class: "part-head" }, h("h2", { id: "part-waves" }, words.title), steps), this.#none, this.#box);
  }

  update(): void {
    const now = this.#app.now();
    if (now <= 0 || this.#asking || this.#app.lineDown()) return;
    const local = performance.now();
    // A patient without waveforms is asked for seldom; a strip of the past does not change.
    const every = this.#blocks.length === 0 ? 10 * EVERY : EVERY;
    if (local - this.#asked < every || (this.#end !== null && this.#asked > 0)) return;
    this.#load();
  }

  repaint(): void {
    this.#draw();
  }

  destroy(): void {
    this.#stop.abort();
  }

  #step(by: number): void {
    this.#go((this.#end ?? this.#last() ?? this.#app.now()) + by);
  }

  #go(end: number | null): void {
    this.#end = end;
    this.#load();
  }

  #last(): number | null {
    const ends = this.#blocks.map((block) => block.start + (block.samples.length / block.rate) * 1000);
    return ends.length === 0 ? null : Math.max(...ends);
  }

  #load(): void {
    const now = this.#app.now();
    const end = this.#end ?? now;
    this.#asking = true;
    this.#asked = performance.now();
    const reach = this.#end === null && this.#blocks.length === 0 ? BACK : this.#end === null ? 3 * SPAN : SPAN;
    this.#app.waveforms(this.#patient, end - reach, end, this.#stop.signal).then(
      (blocks) => {
        this.#asking = false;
        if (blocks.length > 0 || this.#end !== null) this.#blocks = blocks;
        text(this.#none, words.none);
        this.#draw();
      },
      () => {
        this.#asking = false;
        text(this.#none, words.failed);
      },
    );
  }

  #draw(): void {
    const waves = [...new Set(this.#blocks.map((block) => block.wave))].sort();
    if (this.#blocks.length > 0) show(this.root, true);
    this.#wave = this.#wave !== null && (waves.length === 0 || waves.includes(this.#wave)) ? this.#wave : (waves[0] ?? null);
    this.#drawKinds(waves);
    const blocks = this.#blocks.filter((block) => block.wave === this.#wave);
    show(this.#box, blocks.length > 0);
    show(this.#none, blocks.length === 0);
    set(this.#newest, "disabled", this.#end === null);
    if (blocks.length === 0) return;
    const ends = blocks.map((block) => block.start + (block.samples.length / block.rate) * 1000);
    const to = this.#end ?? Math.max(...ends);
    const from = to - SPAN;
    const shown = blocks.filter((block, i) => ends[i]! > from && block.start < to);
    const name = words.names[this.#wave ?? 0] ?? words.other;
    text(this.#when, words.strip(name, time.clockSeconds(from), time.clockSeconds(to), time.span(this.#app.now() - to)));
    set(this.#canvas, "aria-label", words.spoken(name, time.clockSeconds(from), time.clockSeconds(to)));
    this.#paint(shown, from, to);
  }

  #drawKinds(waves: readonly number[]): void {
    show(this.#kind, waves.length > 1);
    const shape = `${waves.join()} ${this.#wave}`;
    if (this.#kind.dataset["shape"] === shape) return;
    this.#kind.dataset["shape"] = shape;
    this.#kind.replaceChildren(
      ...waves.map((wave) =>
        h("button", { class: "button", type: "button", "aria-pressed": String(wave === this.#wave), onclick: () => ((this.#wave = wave), this.#draw()) }, words.names[wave] ?? words.other),
      ),
    );
  }

  #paint(blocks: readonly WaveBlock[], from: number, to: number): void {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio;
    const width = canvas.clientWidth || 800;
    canvas.width = width * ratio;
    canvas.height = HEIGHT * ratio;
    const pen = canvas.getContext("2d");
    if (!pen) return;
    const style = getComputedStyle(canvas);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    pen.scale(ratio, ratio);
    const x = (at: number) => ((at - from) / (to - from)) * width;
    // Large squares: a fifth of a second.
    pen.strokeStyle = colour("--grid");
    pen.lineWidth = 1;
    pen.beginPath();
    for (let at = Math.ceil(from / 200) * 200; at < to; at += 200) {
      pen.moveTo(Math.round(x(at)) + 0.5, 0);
      pen.lineTo(Math.round(x(at)) + 0.5, HEIGHT);
    }
    pen.stroke();
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (const { samples } of blocks) {
      for (const sample of samples) {
        low = Math.min(low, sample);
        high = Math.max(high, sample);
      }
    }
    const y = (value: number) => HEIGHT - 10 - ((value - low) / Math.max(1e-9, high - low)) * (HEIGHT - 20);
    pen.strokeStyle = colour("--series");
    pen.lineWidth = 1.4;
    pen.lineJoin = "round";
    pen.beginPath();
    let before = Number.NEGATIVE_INFINITY;
    for (const { start, rate, samples } of blocks) {
      // Blocks that follow each other are one line; a gap stays a gap.
      samples.forEach((sample, i) => {
        const at = start + (i / rate) * 1000;
        if (at < from || at > to) return;
        if (at - before > 2500 / rate) pen.moveTo(x(at), y(sample));
        else pen.lineTo(x(at), y(sample));
        before = at;
      });
    }
    pen.stroke();
  }
}
