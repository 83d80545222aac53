// Plays a stretch of the past: moves a moment forward, step by step, each step once the one before is shown. Pure: what is shown, and the
// waiting, are given.

export interface Showing {
  /** Shows the moment; resolves when it is seen. */
  show(at: number): Promise<void>;
  wait(ms: number): Promise<void>;
  now(): number;
  /** It plays, or no longer does, or what it shows is another moment. */
  changed(): void;
}

export class Player {
  readonly #showing: Showing;
  readonly #from: number;
  readonly #to: number;
  /** Milliseconds from one step to the next, at least. */
  readonly #pace: number;
  /** Of the past, in one step. */
  step: number;
  #at: number;
  /** Which run goes on; each pause, seek or end makes another. */
  #run = 0;
  #playing = false;

  constructor(showing: Showing, [from, to]: readonly [number, number], step: number, pace: number) {
    this.#showing = showing;
    [this.#from, this.#to] = [from, to];
    this.step = step;
    this.#pace = pace;
    this.#at = from;
  }

  get at(): number {
    return this.#at;
  }

  get playing(): boolean {
    return this.#playing;
  }

  /** From the beginning again once the end is reached. */
  async play(): Promise<void> {
    if (this.#playing) return;
    if (this.#at >= this.#to) this.#at = this.#from;
    const run = this.#begin(true);
    while (this.#run === run && this.#at < this.#to) {
      const began = this.#showing.now();
      await this.#show(this.#at + this.step, run);
      if (this.#run === run && this.#at < this.#to) await this.#showing.wait(Math.max(0, this.#pace - (this.#showing.now() - began)));
    }
    if (this.#run === run) this.pause();
  }

  pause(): void {
    this.#begin(false);
  }

  /** Another moment, and it stays there. */
  async seek(at: number): Promise<void> {
    await this.#show(at, this.#begin(false));
  }

  #begin(playing: boolean): number {
    this.#playing = playing;
    this.#run += 1;
    this.#showing.changed();
    return this.#run;
  }

  async #show(at: number, run: number): Promise<void> {
    const wanted = Math.min(this.#to, Math.max(this.#from, at));
    try {
      await this.#showing.show(wanted);
      if (this.#run !== run) return;
      this.#at = wanted;
      this.#showing.changed();
    } catch (error) {
      if (this.#run === run) this.pause();
      throw error;
    }
  }
}
