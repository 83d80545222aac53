// A slim strip under a trend: what each stretch of its time was. Measured is a solid bar; everything else has a
// texture of its own, and the words with the shares stand below: no colour carries a meaning alone.

import { shares, within, type Share } from "../coverage.ts";
import { fill, h, set, show, svg, text } from "../dom.ts";
import type { CoverageClass, Stretch } from "../model.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";

const words = texts.coverage;

const HEIGHT = 10;

/** One texture per class that is not a plain bar: a tile of 6 by 6 and the path drawn in it. */
const TEXTURES: Partial<Record<CoverageClass, string>> = {
  "not-worn": "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2",
  "sensor-fault": "M0,0 l6,6 M0,6 l6,-6",
  "clock-unknown": "M0,4.5 l3,-3 l3,3",
  dropped: "M1.5,0 v6 M4.5,0 v6",
  lost: "M0,1.5 h6 M0,4.5 h6",
  "out-of-range": "M1.5,3 h0.01 M4.5,0.5 h0.01 M4.5,5.5 h0.01",
  withheld: "M0,3 h6",
  removed: "M1,1 l4,4",
};

let strips = 0;

export class CoverageStrip {
  readonly root = h("div", { class: "coverage", hidden: true });
  readonly #id = `coverage-${(strips += 1)}`;
  readonly #bars = svg("g");
  readonly #picture = svg("svg", { class: "coverage-strip", height: HEIGHT, width: "100%", role: "img", "aria-label": words.title });
  readonly #key = h("ul", { class: "coverage-key" });
  #shown = "";

  constructor() {
    const patterns = Object.entries(TEXTURES).map(([what, path]) =>
      svg(
        "pattern",
        { id: `${this.#id}-${what}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" },
        svg("path", { d: path, class: `texture ${what}` }),
      ),
    );
    this.#picture.append(svg("defs", {}, ...patterns), this.#bars);
    this.root.append(this.#picture, this.#key);
  }

  /** `from` to `to` is what the trend's axis shows; coverage ends at `now`. */
  update(stretches: readonly Stretch[], { from, now, to }: { from: number; now: number; to: number }): void {
    const shown = within(stretches, from, now);
    const parts = shares(shown);
    show(this.root, parts.length > 0);
    // A tenth of a percent of the axis is less than a pixel: what changes less is not drawn anew.
    const place = (at: number) => Math.round(((at - from) / (to - from)) * 1000) / 10;
    const bars = shown.map((one) => ({ one, x: place(one.from), width: place(one.to) - place(one.from) }));
    const drawing = bars.map(({ one, x, width }) => `${one.what} ${x} ${width}`).join();
    if (drawing === this.#shown) return;
    this.#shown = drawing;
    fill(this.#bars, ...bars.flatMap(({ one, x, width }) => this.#bar(one, x, width)));
    // The last seconds are always awaited still: spoken and drawn, but not worth a word below each trend.
    const worded = parts.filter((part) => part.what !== "awaited" || part.percent > 0);
    fill(this.#key, ...worded.map((part) => this.#entry(part)));
    set(this.#picture, "aria-label", words.spoken(parts.map((part) => words.share(words.names[part.what], percent(part))).join(", ")));
  }

  #bar(stretch: Stretch, x: number, width: number): SVGElement[] {
    // A short dropout must not vanish.
    const box = { x: `${x}%`, width: `${Math.max(width, 0.25)}%`, height: HEIGHT };
    const title = svg("title");
    text(title, words.stretch(words.names[stretch.what], time.clockSeconds(stretch.from), time.clockSeconds(stretch.to), stretch.readings));
    const base = svg("rect", { ...box, class: `piece ${stretch.what}` }, title);
    if (!(stretch.what in TEXTURES)) return [base];
    return [base, svg("rect", { ...box, class: "over", fill: `url(#${this.#id}-${stretch.what})` })];
  }

  #entry(part: Share): HTMLElement {
    const sample = svg("svg", { class: "coverage-sample", width: 16, height: HEIGHT, "aria-hidden": "true" });
    sample.append(svg("rect", { width: 16, height: HEIGHT, class: `piece ${part.what}` }));
    if (part.what in TEXTURES) sample.append(svg("rect", { width: 16, height: HEIGHT, fill: `url(#${this.#id}-${part.what})` }));
    return h("li", {}, sample, words.share(words.names[part.what], percent(part)));
  }
}

function percent(part: Share): string {
  return part.percent === 0 ? words.little(time.percent(0.01)) : time.percent(part.percent / 100);
}
