// A page on paper, or as a PDF by the browser's own print dialog: light colours and a sheet's width while it is made, and on each
// sheet who it is about, who printed it and when, and which sheet of how many it is. Knows nothing of what the page shows.

import { texts } from "./texts.ts";
import * as time from "./time.ts";

const words = texts.paper;

/** What each sheet says at its edges. */
export interface Sheet {
  readonly title: string;
  readonly person: string;
  readonly role: string;
  readonly now: number;
  readonly test: boolean;
}

/** Frames until what follows its box by an observer is drawn anew. */
const SETTLED = 3;

/** The page as it will lie on paper, until it was printed; `redraw` draws what has colours or a size of its own. */
export async function onPaper(sheet: Sheet, redraw: () => void): Promise<void> {
  const root = document.documentElement;
  const theme = root.dataset["theme"];
  const closed = [...document.querySelectorAll<HTMLDetailsElement>("details:not([open])")];
  mark(sheet);
  root.dataset["paper"] = "";
  root.dataset["theme"] = "light";
  for (const details of closed) details.open = true;
  redraw();
  for (let frame = 0; frame < SETTLED; frame += 1) await new Promise((done) => requestAnimationFrame(done));
  const printed = new Promise((done) => window.addEventListener("afterprint", done, { once: true }));
  window.print();
  await printed;
  delete root.dataset["paper"];
  if (theme !== undefined) root.dataset["theme"] = theme;
  for (const details of closed) details.open = false;
  unmark();
  redraw();
}

/** Edges of the sheets: style sheets read them as custom properties, for margins hold no elements. */
export function mark({ title, person, role, now, test }: Sheet): void {
  const style = document.documentElement.style;
  style.setProperty("--sheet-title", quoted(title));
  style.setProperty("--sheet-test", quoted(test ? words.test : ""));
  style.setProperty("--sheet-made", quoted(words.made(person, role, time.full(now), time.zone())));
  style.setProperty("--sheet-page", quoted(words.page));
  style.setProperty("--sheet-of", quoted(words.of));
}

export function unmark(): void {
  for (const name of ["title", "test", "made", "page", "of"]) document.documentElement.style.removeProperty(`--sheet-${name}`);
}

/** A string of CSS that is these words and nothing else, whatever somebody wrote. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\\p{Cc}]/gu, (sign) => `\\${sign.codePointAt(0)!.toString(16)} `)}"`;
}
