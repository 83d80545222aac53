// Which models speak of this patient, and why those do not that do not. The centre sends the silent ones; all others speak.

import { fill, h } from "../dom.ts";
import type { Twin } from "../model.ts";
import { texts } from "../texts.ts";

const words = texts.standings;

/** What they raise, in the order of their cards. Thresholds and what is technical always speak, and stand nowhere here. */
const MODELS = [
  "early_warning_score",
  "atrial_fibrillation",
  "heart_pause",
  "oxygen_saturation_falling",
  "breathing_drift",
  "shock_index_high",
  "blood_pressure_low",
  "glucose_falling",
  "glucose_rising",
  "fever",
  "resting_heart_rate_raised",
  "heart_failure_drift",
  "fall",
] as const;

export class ModelsPanel {
  readonly root: HTMLElement;
  readonly #list = h("ul", { class: "facts-list" });
  #drawn = "";

  constructor() {
    this.root = h("details", { class: "panel" }, h("summary", {}, h("h2", {}, words.title)), h("p", { class: "hint" }, words.about), this.#list);
  }

  update(twin: Twin | null): void {
    const silent = twin?.models ?? [];
    const shape = JSON.stringify([twin === null, silent]);
    if (shape === this.#drawn) return;
    this.#drawn = shape;
    const named = [...MODELS, ...silent.map(({ condition }) => condition).filter((one) => !MODELS.some((model) => model === one))];
    const entry = (condition: string): HTMLElement => {
      const one = silent.find((of) => of.condition === condition);
      const times = one && one.unsaid > 0 ? ` ${words.unsaid(one.unsaid)}` : "";
      return h(
        "li",
        { class: "fact-entry" },
        h("p", {}, h("strong", {}, texts.condition(condition)), ": ", words.standing[one?.standing ?? "live"], times),
        one !== undefined && h("p", { class: "fact-effect", lang: "en" }, one.why),
      );
    };
    fill(this.#list, ...(twin === null ? [] : named.map(entry)));
  }
}
