// Texts that would do harm if a page took them for more than texts, and every field of the page into which somebody can type them.
//
// CORPUS is written into each of FIELDS by the story that is named there; a field of the page's source that is not listed fails
// `everyFieldIsListed`, and a story that did not write into one of its own fails `wereFilled`. Each text would leave a mark in
// `window.marks` if any of it ran.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ensure } from "./common.mjs";

const SOURCE = join(import.meta.dirname, "../../aggregator/web");

export const CORPUS = [
  // Tags, handlers, addresses, and ways out of an attribute or a field.
  `<script>window.marks.push(1)</script>`,
  `<img src=x onerror="window.marks.push(2)">`,
  `"><svg onload=window.marks.push(3)>`,
  `javascript:window.marks.push(4)`,
  `</textarea><iframe srcdoc="<script>parent.marks.push(5)</script>"></iframe>`,
  `' onfocus='window.marks.push(6)' autofocus='`,
  // Templates of other makers.
  "${window.marks.push(7)}{{constructor.constructor('window.marks.push(8)')()}}#{7*7}<%=7*7%>",
  `<a href="javascript:window.marks.push(9)">x</a><details open ontoggle=window.marks.push(10)>`,
  // Pictures that carry programs; tags that a clean-up turns into others.
  `<svg><script href="data:,window.marks.push(11)"/><animate onbegin=window.marks.push(12)></svg>`,
  `<math><mtext><style><!--</style><img title="--><img src=x onerror=window.marks.push(13)>">`,
  // What turns the line round, what cannot be seen, what ends a text elsewhere.
  `\u202Eright to left\u202C \u2066a\u2069 zero\u200Bwidth\uFEFF \u2400 %00 \\u0000 \\x00 &#0; &lt;b&gt; <b>bold</b>`,
  // What a spreadsheet would do.
  `=HYPERLINK("http://x","y") +1+1 -2+3 @SUM(1)`,
  // No place to break a line.
  "W".repeat(100),
];
export const ALL = CORPUS.join(" ");
/** As long as the shortest names may be. */
export const SHORT = "<img src=x onerror=window.marks.push(0)>";
/** Of somebody or something: as long as most names may be. */
export const NAME = `${SHORT}\u202E\u200B =1+1 {{7*7}}`;

/**
 * Every field that takes words, as `file variable` (the second of that name in a file: `variable 2`), with the story that fills it
 * and how the page calls it there; the title of its dialog too, where another field of that story has the same name.
 */
export const FIELDS = {
  "signin.ts input": ["signin.mjs", "One-time link or code"],
  "views/account.ts label": ["signin.mjs", "Name for a new passkey"],
  "views/acts.ts note": ["night.mjs", "Note (optional)"],
  "views/acts.ts said": ["night.mjs", "Comment"],
  "views/acts.ts briefing": ["night.mjs", "What they are to know (optional)"],
  "views/acts.ts owner": ["night.mjs", "Whose affair it is"],
  "views/acts.ts reason": ["night.mjs", "Reason"],
  "views/facts.ts label": ["night.mjs", "Name"],
  "views/facts.ts code": ["night.mjs", "Code (optional)"],
  "views/facts.ts unit": ["night.mjs", "Unit"],
  "views/facts.ts note": ["night.mjs", "Words", "Write down"],
  "views/filters.ts search": ["night.mjs", "Search name or pseudonym"],
  "views/filters.ts name": ["night.mjs", "Name of the filter"],
  "views/fleet.ts find": ["fleet.mjs --thousand", "Find"],
  "views/fleetacts.ts label": ["fleet.mjs --thousand", "Name"],
  "views/fleetacts.ts addresses": ["fleet.mjs --thousand", "Bluetooth addresses"],
  "views/fleetacts.ts written": ["fleet.mjs --thousand", "Settings (TOML)"],
  "views/fleetacts.ts sure": ["fleet.mjs --thousand", "Type the gateway's id to go on"],
  "views/home.ts note": ["night.mjs", "In your own words"],
  "views/notes.ts said": ["night.mjs", "Words", "Write a note"],
  "views/password.ts name": ["signin.mjs", "Name"],
  "views/password.ts password": ["signin.mjs", "Password"],
  "views/password.ts code": ["signin.mjs", "Code"],
  "views/password.ts password 2": ["signin.mjs", "New password"],
  "views/password.ts again": ["signin.mjs", "The same once more"],
  "views/password.ts code 2": ["signin.mjs", "The code that the app shows now"],
  "views/roster.ts document": ["roster.mjs", "Roster of Home (TOML)"],
  "views/rules.ts document": ["rules.mjs", "Rules (TOML)"],
  "views/rules.ts reason": ["rules.mjs", "Why"],
};

/** Of an input that takes no words. */
const WORDLESS = /type: "(range|number|checkbox|radio|date|datetime-local|time)"/;

/** The fields of the page's source. */
function fields() {
  const found = [];
  for (const entry of readdirSync(join(SOURCE, "src"), { recursive: true, encoding: "utf8" })) {
    const file = entry.replaceAll("\\", "/");
    if (!file.endsWith(".ts") || file.startsWith("gen/")) continue;
    const text = readFileSync(join(SOURCE, "src", file), "utf8");
    const made = [...text.matchAll(/(?:(?:const|let|readonly) #?(\w+)(?:: [^=\n]+)? = )?h\(\s*"(?:input|textarea)",\s*(\{[^}]*\})/g)];
    const all = [...text.matchAll(/h\(\s*"(?:input|textarea)"/g)].length;
    ensure(made.length === all && !/createElement\("(?:input|textarea)"|contenteditable/i.test(text), `${file} makes a field in a way that this test does not see`);
    const seen = new Map();
    for (const [, name = "?", attributes] of made.filter(([, , attributes]) => !WORDLESS.test(attributes))) {
      ensure(name !== "?", `${file} makes a field without a name: ${attributes}`);
      seen.set(name, (seen.get(name) ?? 0) + 1);
      found.push(`${file} ${name}${seen.get(name) > 1 ? ` ${seen.get(name)}` : ""}`);
    }
  }
  for (const file of ["index.html", "sign-in.html"]) {
    ensure(!/<input|<textarea/i.test(readFileSync(join(SOURCE, file), "utf8")), `${file} has a field of its own`);
  }
  return found.sort();
}

/** A field that is new must be in the list, and one that is gone must not. */
export function everyFieldIsListed() {
  const [there, listed] = [fields(), Object.keys(FIELDS).sort()];
  const unlisted = there.filter((field) => !listed.includes(field));
  ensure(unlisted.length === 0, `no story writes hostile texts into: ${unlisted.join(", ")} (list them in hostile.mjs)`);
  const gone = listed.filter((field) => !there.includes(field));
  ensure(gone.length === 0, `listed in hostile.mjs, and not in the page: ${gone.join(", ")}`);
}

/** Notes into which fields of this context a text of the corpus was written. Returns the set, by the names that people see. */
export async function watchFields(context, filled = new Set()) {
  await context.exposeFunction("hostileFilled", (label, title) => void filled.add(label).add(`${title}: ${label}`));
  await context.addInitScript(() => {
    window.marks ??= [];
    document.addEventListener(
      "input",
      ({ target }) => {
        if (target instanceof Element && target.matches("input, textarea") && /[<>]/.test(target.value)) {
          const label = (target.labels?.[0]?.textContent ?? target.getAttribute("aria-label") ?? "").trim();
          const title = target.closest("dialog")?.querySelector("h2")?.textContent ?? "";
          window.hostileFilled(label, title);
        }
      },
      true,
    );
  });
  return filled;
}

/** Every field that is this story's was written into. */
export function wereFilled(story, filled) {
  const ours = Object.entries(FIELDS).filter(([, [by]]) => by === story);
  ensure(ours.length > 0, `no field is listed for ${story}`);
  const missed = ours.filter(([, [, label, title]]) => !filled.has(title === undefined ? label : `${title}: ${label}`));
  ensure(missed.length === 0, `${story} wrote nothing hostile into: ${missed.map(([field, [, label]]) => `${field} ("${label}")`).join(", ")}; it did into: ${[...filled].join(", ")}`);
}

/** Nothing of any text ran. */
export async function nothingRan(page) {
  const marks = await page.evaluate(() => window.marks);
  ensure(marks.length === 0, `what people wrote ran: ${marks}`);
}
