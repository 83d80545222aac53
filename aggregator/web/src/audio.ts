// The only file that names Web Audio: plays pulses. Browsers keep a page silent until somebody touched it; until then
// `blocked` is true, and the page says so where everybody sees it.

import type { Pulse } from "./sound.ts";

/** Amplitudes of the fundamental and four harmonics, so that small loudspeakers and old ears hear one of them. */
const HARMONICS = new Float32Array([0, 1, 0.7, 0.6, 0.45, 0.4]);
const LOUDNESS = 0.35;
/** Seconds in which a pulse rises and falls: no click. */
const EDGE = 0.015;

export class Speaker {
  #context: AudioContext | null = null;
  /** For tests: bursts played, with the moment of the last one. */
  readonly played: { count: number; at: number } = { count: 0, at: 0 };

  /** Calls back when sound was allowed. */
  constructor(allowed: () => void) {
    const gesture = () => {
      this.#context ??= new AudioContext();
      void this.#context.resume().then(() => {
        if (this.blocked) return;
        for (const name of ["pointerdown", "keydown"]) document.removeEventListener(name, gesture);
        allowed();
      });
    };
    for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, gesture);
  }

  get blocked(): boolean {
    return this.#context?.state !== "running";
  }

  play(pulses: readonly Pulse[]): void {
    const context = this.#context;
    if (context === null || this.blocked) return;
    this.played.count += 1;
    this.played.at = performance.now();
    const wave = context.createPeriodicWave(new Float32Array(HARMONICS.length), HARMONICS);
    for (const { at, length, pitch } of pulses) {
      const start = context.currentTime + at;
      const loudness = context.createGain();
      loudness.gain.setValueAtTime(0, start);
      loudness.gain.linearRampToValueAtTime(LOUDNESS, start + EDGE);
      loudness.gain.setValueAtTime(LOUDNESS, start + length - EDGE);
      loudness.gain.linearRampToValueAtTime(0, start + length);
      const tone = new OscillatorNode(context, { periodicWave: wave, frequency: pitch });
      tone.connect(loudness).connect(context.destination);
      tone.start(start);
      tone.stop(start + length);
    }
  }
}
