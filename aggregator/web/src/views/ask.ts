// The one dialog in which people say something: what it is about, what they write, and what became of it. Native
// `<dialog>`: the rest of the page is out of reach while it is open, Escape closes it, and the focus goes back.

import { fill, h, set, show, text } from "../dom.ts";
import { texts } from "../texts.ts";

const words = texts.ask;

export interface Question {
  readonly title: string;
  /** Whom and what it is about. */
  readonly about: readonly (Node | string)[];
  readonly fields: readonly Node[];
  /** Words of the button; null: nothing to do but to close. */
  readonly confirm: string | null;
  /** More buttons, before the one that closes. */
  readonly others?: readonly { readonly label: string; run(): Promise<string> }[];
  /** Resolves to what is said to a screen reader; rejects with words for people. */
  run?(): Promise<string>;
}

export class Ask {
  readonly root = h("dialog", { class: "ask", "aria-labelledby": "ask-title" });
  readonly #say: (words: string) => void;
  readonly #title = h("h2", { id: "ask-title" });
  readonly #about = h("div", { class: "ask-about" });
  readonly #fields = h("div", { class: "ask-fields" });
  readonly #error = h("p", { class: "notice bad", role: "alert", hidden: true });
  readonly #buttons = h("div", { class: "buttons" });
  #home: Element | null = null;
  #busy = false;
  #run: (() => Promise<string>) | null = null;

  constructor(say: (words: string) => void) {
    this.#say = say;
    const submit = (event: Event) => {
      event.preventDefault();
      if (this.#run) void this.#do(this.#run);
    };
    // What was shown once, or written, does not stay in the document.
    this.root.addEventListener("close", () => {
      if (!this.root.open) this.forget();
    });
    this.root.append(h("form", { method: "dialog", onsubmit: submit }, this.#title, this.#about, this.#fields, this.#error, this.#buttons));
  }

  get isOpen(): boolean {
    return this.root.open;
  }

  open(question: Question): void {
    if (this.root.open) return;
    this.#home = document.activeElement?.closest("[data-alert]") ?? null;
    this.#run = question.run?.bind(question) ?? null;
    text(this.#title, question.title);
    fill(this.#about, ...question.about.map((part) => (typeof part === "string" ? h("p", {}, part) : part)));
    fill(this.#fields, ...question.fields);
    show(this.#error, false);
    const others = (question.others ?? []).map(({ label, run }) => h("button", { class: "button", type: "button", onclick: () => void this.#do(run) }, label));
    const close = h("button", { class: "button quiet", type: "button", onclick: () => this.root.close() }, question.confirm === null ? words.close : words.cancel);
    fill(this.#buttons, question.confirm !== null && h("button", { class: "button primary", type: "submit" }, question.confirm), ...others, close);
    this.root.showModal();
    this.#fields.querySelector<HTMLElement>("textarea, input, select")?.focus();
    // What is long is read from its begin, wherever the first button is.
    this.root.scrollTop = 0;
  }

  /** What it was about last stays in the document no longer. */
  forget(): void {
    this.#run = null;
    for (const part of [this.#title, this.#about, this.#fields, this.#buttons, this.#error]) fill(part);
  }

  async #do(run: () => Promise<string>): Promise<void> {
    if (this.#busy) return;
    this.#hold(true);
    show(this.#error, false);
    try {
      const said = await run();
      this.#hold(false);
      this.root.close();
      this.#say(said);
      this.#comeHome();
    } catch (error) {
      this.#hold(false);
      text(this.#error, words.failed(error instanceof Error ? error.message : String(error)));
      show(this.#error, true);
    }
  }

  #hold(on: boolean): void {
    this.#busy = on;
    set(this.root, "aria-busy", on ? "true" : null);
    for (const button of this.#buttons.querySelectorAll("button")) button.disabled = on;
  }

  /** The button that opened it may be gone after the act: then the focus stays at what it was about. */
  #comeHome(): void {
    const home = this.#home;
    setTimeout(() => {
      if (document.activeElement !== document.body) return;
      const place = home?.isConnected ? home.querySelector<HTMLElement>("[data-stop]") : document.querySelector<HTMLElement>("main h1");
      place?.focus({ preventScroll: true });
    }, 100);
  }
}

let fields = 0;

/** A labelled field; `hint` below it. */
export function field<Input extends HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>(label: string, input: Input, hint = ""): HTMLElement {
  const id = `field-${(fields += 1)}`;
  set(input, "id", id);
  if (hint !== "") set(input, "aria-describedby", `${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: id }, label), input, hint !== "" && h("p", { id: `${id}-hint`, class: "hint" }, hint));
}

export function choose(options: readonly (readonly [value: string, label: string])[], chosen: string): HTMLSelectElement {
  const select = h("select", {}, ...options.map(([value, label]) => h("option", { value }, label)));
  select.value = chosen;
  return select;
}
