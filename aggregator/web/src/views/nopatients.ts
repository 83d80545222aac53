// What somebody sees who runs the centre: nothing of a patient, and how the work is done.

import { h } from "../dom.ts";
import { texts } from "../texts.ts";
import type { View } from "./parts.ts";

const words = texts.roles;

export class NoPatientsView implements View {
  readonly title = words.runsTitle;
  readonly root = h(
    "section",
    { class: "sheet" },
    h("h1", { tabindex: "-1" }, words.runsTitle),
    h("p", { class: "lead" }, words.runs),
    h("p", {}, words.runsHow),
    h("p", { class: "command" }, h("code", {}, "vitaltwin-aggregator --help")),
  );

  update(): void {}
}
