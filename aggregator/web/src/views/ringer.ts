// The alarm's sound and the button that says at all times whether it can be heard: on, paused for a while, switched off
// by the viewer, or kept silent by the browser until somebody touches the page.

import { Speaker } from "../audio.ts";
import { h, set, show, svg, text, toggle } from "../dom.ts";
import type { Alert, Priority } from "../model.ts";
import { SOUND } from "../prefs.ts";
import { Bell, burst, ringing } from "../sound.ts";
import { texts } from "../texts.ts";
import * as time from "../time.ts";

const words = texts.sound;

export class Ringer {
  readonly button: HTMLButtonElement;
  readonly #local: () => number;
  readonly #bell = new Bell();
  readonly #speaker: Speaker;
  readonly #word = h("span", { class: "bell-word" });
  /** The press that is under way began while nothing could be heard: it is to switch the sound on, and nothing else. */
  #wakes = false;
  readonly #cross = svg("path", { class: "bell-cross", d: "M4 4l16 16" });

  constructor(local: () => number) {
    this.#local = local;
    this.#speaker = new Speaker(() => this.paint());
    const bell = svg(
      "svg",
      { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", class: "icon" },
      svg("path", { d: "M6 17V11a6 6 0 0 1 12 0v6l1.500 2h-15zM10 21h4" }),
      this.#cross,
    );
    this.button = h("button", { class: "bell", type: "button" }, bell, this.#word);
    for (const name of ["pointerdown", "keydown"]) this.button.addEventListener(name, () => (this.#wakes = this.button.classList.contains("silent")));
    this.button.addEventListener("click", () => {
      if (this.#wakes) SOUND.set("on");
      else this.pauseOrResume();
      this.#wakes = false;
      this.paint();
    });
    this.paint();
  }

  /** Paused for a while, or heard again. Where sound is off or blocked it is switched on. */
  pauseOrResume(): void {
    const now = this.#local();
    if (SOUND.get() === "off") SOUND.set("on");
    else if (this.#bell.pausedUntil(now) !== null) this.#bell.resume();
    else if (!this.#speaker.blocked) this.#bell.pause(now);
    this.paint();
  }

  news(priority: Priority): void {
    this.#bell.news(priority);
  }

  tick(alerts: Iterable<Alert>): void {
    this.ring(ringing(alerts));
  }

  /** `most`: the most urgent priority that rings; null: none. */
  ring(most: Priority | null): void {
    // What could not be heard is due again as soon as it can.
    if (SOUND.get() === "off" || this.#speaker.blocked) return;
    const due = this.#bell.due(this.#local(), most);
    if (due !== null) this.#speaker.play(burst(due));
    set(document.documentElement, "data-bursts", this.#speaker.played.count);
  }

  paint(): void {
    const paused = this.#bell.pausedUntil(this.#local());
    const off = SOUND.get() === "off";
    const silent = off || this.#speaker.blocked;
    const state = off ? words.off : silent ? words.blocked : paused !== null ? words.paused(time.span(paused - this.#local())) : words.on;
    text(this.#word, state);
    show(this.#word, silent || paused !== null);
    toggle(this.button, "silent", silent);
    toggle(this.button, "paused", !silent && paused !== null);
    set(this.#cross, "visibility", silent || paused !== null ? null : "hidden");
    set(this.button, "aria-label", `${words.title}: ${state}`);
    set(this.button, "title", silent ? words.switchOn : paused !== null ? words.resume : words.pause);
  }
}
