// Light, dark or as the system says; and whether high alerts flash.

import { FLASH, language, THEME } from "./prefs.ts";

const SYSTEM_DARK = matchMedia("(prefers-color-scheme: dark)");

/** Calls back when the system changes between light and dark and the page follows it. */
export function onSystemTheme(changed: () => void): void {
  SYSTEM_DARK.addEventListener("change", () => {
    applyTheme();
    changed();
  });
}

/** Colours, flashing and language of the document, as chosen. */
export function applyTheme(): void {
  const root = document.documentElement;
  const name = THEME.get();
  root.dataset["theme"] = name === "auto" ? (SYSTEM_DARK.matches ? "dark" : "light") : name;
  root.dataset["flash"] = FLASH.get();
  root.lang = language();
}
