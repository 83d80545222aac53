// What someone sees who is not signed in: how to get in, and nothing about any patient.

import { h, show } from "../dom.ts";
import { texts } from "../texts.ts";
import type { View } from "./parts.ts";

/** Shared with the page that spends the code. */
export function howToGetIn(): HTMLElement[] {
  return [
    h("h2", {}, texts.signedOut.how),
    h("ol", { class: "steps" }, ...texts.signedOut.steps.map((step) => h("li", {}, step))),
    h("p", { class: "command" }, h("code", {}, texts.signedOut.command)),
  ];
}

export class SignedOutView implements View {
  readonly title = texts.signedOut.title;
  readonly root: HTMLElement;
  readonly #unreachable = h("p", { class: "notice", role: "status", hidden: true }, texts.signedOut.unreachable);

  constructor(again: () => void) {
    this.root = h(
      "section",
      { class: "sheet" },
      h("h1", { tabindex: "-1" }, texts.signedOut.title),
      h("p", { class: "lead" }, texts.signedOut.lead),
      this.#unreachable,
      ...howToGetIn(),
      h("p", {}, h("button", { class: "button primary", type: "button", onclick: again }, texts.signedOut.again)),
      h("p", { class: "fine" }, texts.disclaimerLong),
    );
  }

  /** The centre did not answer at all. */
  unreachable(on: boolean): void {
    show(this.#unreachable, on);
  }

  update(): void {}
}
