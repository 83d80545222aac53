// Every word on screen, in the language that the viewer chose when the page was loaded. One file per language below
// texts/; a test holds them to the same keys. Words that come from the centre (summaries, findings, sources) are its own.

import { language, type Language } from "./prefs.ts";
import { de } from "./texts/de.ts";
import { en } from "./texts/en.ts";

export type Texts = typeof en;

const LANGUAGES: Readonly<Record<Language, Texts>> = { en, de };

export const texts = LANGUAGES[language()];
