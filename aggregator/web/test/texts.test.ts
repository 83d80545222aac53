import assert from "node:assert/strict";
import { test } from "node:test";
import { de } from "../src/texts/de.ts";
import { en } from "../src/texts/en.ts";

/** Every key with what stands there: a text, a list's length, a function's parameters. */
function shape(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return [`${path}: ${value.length} texts`, ...value.flatMap((one, i) => shape(one, `${path}.${i}`))];
  if (typeof value === "object" && value !== null) return Object.entries(value).flatMap(([key, one]) => shape(one, `${path}.${key}`));
  return [typeof value === "function" ? `${path}(${value.length})` : `${path}: ${typeof value}`];
}

function texts(value: unknown, path = ""): [string, string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => texts(one, `${path}.${key}`));
}

test("both languages have the same keys, lists of the same length, and functions of the same parameters", () => {
  assert.deepEqual(shape(de).sort(), shape(en).sort());
  // Control: a key that one lacks is seen.
  const { fatal, ...less } = de;
  assert.ok(fatal !== "");
  assert.notDeepEqual(shape(less).sort(), shape(en).sort());
});

test("no text is empty, and what is the same in both languages is known to be", () => {
  const german = new Map(texts(de));
  const same: string[] = [];
  for (const [path, words] of texts(en)) {
    assert.notEqual(words.trim(), "", path);
    assert.notEqual(german.get(path)?.trim(), "", path);
    if (german.get(path) === words) same.push(path);
  }
  const ranges = ["15m", "1h", "6h", "24h"].map((name) => `.chart.ranges.${name}`);
  const known = [".brand", ".account.passkeys", ".account.unnamed", ".alerts.hash", ".settings.zones.utc", ".connection.live", ".connection.phases.live", ".filters.filter", ".facts.kinds.9", ".facts.label", ".score.title", ".worklist.columns.news2", ".settings.languages.en", ".settings.languages.de", ...ranges];
  assert.deepEqual(same.filter((path) => !known.includes(path)), []);
});

test("a name of a newer centre is shown readably in both", () => {
  for (const words of [en, de]) {
    assert.equal(words.condition("something_new"), "Something new");
    assert.match(words.kind(999), /999/);
  }
});
