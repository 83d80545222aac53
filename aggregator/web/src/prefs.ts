// What a viewer chose, kept in this browser. Names no patient: other people may use this browser too.

/** One of a few words; the first is what holds until somebody chooses. */
export class Choice<Word extends string> {
  readonly options: readonly Word[];
  readonly #key: string;

  constructor(name: string, options: readonly [Word, ...Word[]]) {
    this.#key = `vitaltwin.${name}`;
    this.options = options;
  }

  get(): Word {
    const kept = read(this.#key);
    return this.options.find((word) => word === kept) ?? this.options[0]!;
  }

  set(word: Word): void {
    write(this.#key, word);
  }
}

export const THEME = new Choice("theme", ["auto", "light", "dark"]);
export const FLASH = new Choice("flash", ["on", "off"]);
/** `auto`: as the browser says, if the page has that language. */
export const LANGUAGE = new Choice("language", ["auto", "en", "de"]);
export const GLUCOSE = new Choice("glucose", ["mg/dL", "mmol/L"]);
export const TEMPERATURE = new Choice("temperature", ["°C", "°F"]);
/** Whose clock: this browser's, UTC, or the patient's on their own page where it is known. */
export const ZONE = new Choice("zone", ["viewer", "patient", "utc"]);
export const SOUND = new Choice("sound", ["on", "off"]);
/** Single keys as commands (WCAG 2.1.4: they can be switched off). */
export const KEYS = new Choice("keys", ["on", "off"]);

export type Language = "en" | "de";

export function language(): Language {
  const chosen = LANGUAGE.get();
  if (chosen !== "auto") return chosen;
  return globalThis.navigator?.language?.toLowerCase().startsWith("de") ? "de" : "en";
}

/** Whatever else is kept, as JSON; null when there is nothing or it cannot be read. */
export function readJson(name: string): unknown {
  try {
    return JSON.parse(read(`vitaltwin.${name}`) ?? "null");
  } catch {
    return null;
  }
}

export function writeJson(name: string, value: unknown): void {
  write(`vitaltwin.${name}`, JSON.stringify(value));
}

// Storage may be forbidden; the page works without.
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Then the choice lasts until the page is closed.
  }
}
