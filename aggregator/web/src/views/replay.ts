// The controls of a replay: play and pause, speed, and an end. Who asked for less motion gets a picture only when they ask for the next.

import { h, set, text } from "../dom.ts";
import { Player, type Showing } from "../replay.ts";
import { texts } from "../texts.ts";
import { choose } from "./ask.ts";

const words = texts.together.replay;
const MINUTE = 60_000;
/** Of the past a second. */
const SPEEDS = [10, 30, 60] as const;
const PACE = 1000;

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Replay {
  readonly root: HTMLElement;
  readonly #toggle = h("button", { class: "button primary", type: "button" });
  readonly #speed = choose(SPEEDS.map((minutes) => [String(minutes), words.speed(minutes)]), String(SPEEDS[1]));
  readonly #player: Player;
  readonly #failed: () => void;

  /** `failed`: what was to be shown could not be loaded. */
  constructor(showing: Omit<Showing, "now" | "wait">, span: readonly [number, number], failed: () => void, end: () => void) {
    this.#failed = failed;
    this.#player = new Player(
      {
        ...showing,
        wait: (ms) => new Promise((done) => setTimeout(done, ms)),
        now: () => performance.now(),
        changed: () => {
          this.#say();
          showing.changed();
        },
      },
      span,
      SPEEDS[1] * MINUTE,
      PACE,
    );
    this.#toggle.addEventListener("click", () => this.#press());
    this.#speed.addEventListener("change", () => (this.#player.step = Number(this.#speed.value) * MINUTE));
    set(this.#speed, "aria-label", words.speeds);
    this.root = h("div", { class: "replay", role: "group", "aria-label": words.title }, this.#toggle, this.#speed, h("button", { class: "button quiet", type: "button", onclick: end }, words.end));
    this.#say();
  }

  get playing(): boolean {
    return this.#player.playing;
  }

  /** Plays at once, unless somebody wants no motion. */
  begin(): void {
    this.#toggle.focus();
    if (!calm()) this.#do(this.#player.play());
  }

  seek(at: number): void {
    this.#do(this.#player.seek(at));
  }

  stop(): void {
    this.#player.pause();
  }

  #press(): void {
    if (calm()) this.seek(this.#player.at + this.#player.step);
    else if (this.#player.playing) this.#player.pause();
    else this.#do(this.#player.play());
  }

  #do(work: Promise<void>): void {
    work.catch(() => this.#failed());
  }

  #say(): void {
    text(this.#toggle, calm() ? words.next : this.#player.playing ? words.pause : words.play);
  }
}
