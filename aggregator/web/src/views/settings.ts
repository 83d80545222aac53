// What a viewer may choose, and the list of keys.

import { h } from "../dom.ts";
import { SHORTCUTS } from "../keys.ts";
import { FLASH, GLUCOSE, KEYS, LANGUAGE, SOUND, TEMPERATURE, THEME, ZONE, type Choice } from "../prefs.ts";
import { texts } from "../texts.ts";
import { applyTheme } from "../theme.ts";
import { choose, field, type Ask } from "./ask.ts";

const words = texts.settings;

/** Holds at once; `reloads`: every word and number on the page changes, so the page is loaded anew. */
export function askSettings(ask: Ask, repaint: () => void): void {
  const one = <Word extends string>(choice: Choice<Word>, name: string, names: Readonly<Record<Word, string>>, reloads = false, hint = "") => {
    const select = choose(
      choice.options.map((word) => [word, names[word]]),
      choice.get(),
    );
    select.addEventListener("change", () => {
      choice.set(select.value as Word);
      if (reloads) location.reload();
      applyTheme();
      repaint();
    });
    return field(name, select, hint);
  };
  ask.open({
    title: words.title,
    about: [words.about],
    fields: [
      one(LANGUAGE, words.language, words.languages, true),
      one(GLUCOSE, words.glucose, { "mg/dL": "mg/dL", "mmol/L": "mmol/L" }, true),
      one(TEMPERATURE, words.temperature, { "°C": "°C", "°F": "°F" }, true),
      one(ZONE, words.zone, words.zones, true, words.zoneHint),
      one(THEME, texts.tools.theme, texts.tools.themes),
      one(FLASH, words.flash, words.onOff),
      one(SOUND, texts.sound.title, words.onOff, false, words.soundHint),
      one(KEYS, words.keys, words.onOff, false, words.keysHint),
    ],
    confirm: null,
  });
}

export function askHelp(ask: Ask): void {
  const rows = SHORTCUTS.flatMap(([keys, command]) => [
    h("dt", {}, ...keys.split(" ").map((key) => h("kbd", {}, key))),
    h("dd", {}, texts.keys.commands[command]),
  ]);
  ask.open({ title: texts.keys.title, about: [texts.keys.about], fields: [h("dl", { class: "shortcuts" }, ...rows)], confirm: null });
}
