// Light, dark or as the system says; and whether high alerts flash. Kept in this browser; names no patient.

export type Theme = "auto" | "light" | "dark";
const THEMES: readonly Theme[] = ["auto", "light", "dark"];
const THEME_KEY = "vitaltwin.theme";
const FLASH_KEY = "vitaltwin.flash";

export function theme(): Theme {
  const kept = read(THEME_KEY);
  return THEMES.find((name) => name === kept) ?? "auto";
}

export function nextTheme(): Theme {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]!;
  write(THEME_KEY, next);
  applyTheme();
  return next;
}

export function flashing(): boolean {
  return read(FLASH_KEY) !== "off";
}

export function switchFlashing(): boolean {
  const on = !flashing();
  write(FLASH_KEY, on ? "on" : "off");
  applyTheme();
  return on;
}

const SYSTEM_DARK = matchMedia("(prefers-color-scheme: dark)");

/** Calls back when the system changes between light and dark and the page follows it. */
export function onSystemTheme(changed: () => void): void {
  SYSTEM_DARK.addEventListener("change", () => {
    applyTheme();
    changed();
  });
}

export function applyTheme(): void {
  const root = document.documentElement;
  const name = theme();
  root.dataset["theme"] = name === "auto" ? (SYSTEM_DARK.matches ? "dark" : "light") : name;
  root.dataset["flash"] = flashing() ? "on" : "off";
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
