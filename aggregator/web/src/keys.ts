// Single keys as commands, for a night without a mouse. Pure: which key means what; main.ts does it. They can be
// switched off (WCAG 2.1.4), and are never taken while somebody writes.

export type Command =
  | "help"
  | "search"
  | "next"
  | "previous"
  | "urgent"
  | "acknowledge"
  | "take"
  | "assign"
  | "comment"
  | "escalate"
  | "silence"
  | "quiet"
  | "worklist"
  | "alerts"
  | "handover"
  | "wall";

/** As pressed, one after the other. */
export const SHORTCUTS: readonly (readonly [keys: string, command: Command])[] = [
  ["j", "next"],
  ["k", "previous"],
  ["n", "urgent"],
  ["a", "acknowledge"],
  ["t", "take"],
  ["o", "assign"],
  ["c", "comment"],
  ["e", "escalate"],
  ["s", "silence"],
  ["q", "quiet"],
  ["/", "search"],
  ["g w", "worklist"],
  ["g a", "alerts"],
  ["g h", "handover"],
  ["g r", "wall"],
  ["?", "help"],
];

/** The second key must follow within this, milliseconds. */
const TOGETHER = 1500;

export class Keyboard {
  #first: { key: string; at: number } | null = null;

  /** What `key`, pressed at `now`, asks for; null: nothing (yet). */
  press(key: string, now: number): Command | null {
    const before = this.#first !== null && now - this.#first.at < TOGETHER ? `${this.#first.key} ` : "";
    this.#first = null;
    const found = SHORTCUTS.find(([keys]) => keys === before + key);
    if (found) return found[1];
    if (before === "" && SHORTCUTS.some(([keys]) => keys.startsWith(`${key} `))) this.#first = { key, at: now };
    return null;
  }
}
