import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { GLUCOSE, language, LANGUAGE, readJson, TEMPERATURE, writeJson } from "../src/prefs.ts";
import * as time from "../src/time.ts";
import { amountWithUnit, shown, shownAs } from "../src/units.ts";

const storage = new Map<string, string>();
beforeEach(() => {
  storage.clear();
  Object.assign(globalThis, { localStorage: { getItem: (key: string) => storage.get(key) ?? null, setItem: (key: string, value: string) => storage.set(key, value) } });
});
afterEach(() => {
  delete (globalThis as { localStorage?: unknown }).localStorage;
});

test("without a choice everything is shown as the contract has it", () => {
  assert.equal(shown(25, 100), 100);
  assert.equal(amountWithUnit(8, 36.6), "36.6\u00a0°C");
});

test("glucose in mmol/L and temperature in Fahrenheit, value, unit and scale alike", () => {
  GLUCOSE.set("mmol/L");
  TEMPERATURE.set("°F");
  assert.equal(amountWithUnit(25, 100), "5.6\u00a0mmol/L");
  assert.equal(amountWithUnit(26, 70), "3.9\u00a0mmol/L");
  assert.equal(amountWithUnit(27, -2), "-0.11\u00a0mmol/L/min");
  assert.equal(amountWithUnit(8, 37), "98.6\u00a0°F");
  assert.equal(amountWithUnit(33, 0), "32.0\u00a0°F");
  assert.equal(amountWithUnit(1, 60), "60\u00a0/min");
  assert.deepEqual(shownAs(8).scale.map(Math.round), [97, 101]);
});

test("a choice that is none, and storage that is forbidden, leave what holds by itself", () => {
  storage.set("vitaltwin.glucose", "grams");
  assert.equal(GLUCOSE.get(), "mg/dL");
  storage.set("vitaltwin.filters", "{");
  assert.equal(readJson("filters"), null);
  writeJson("filters", { a: 1 });
  assert.deepEqual(readJson("filters"), { a: 1 });
  Object.assign(globalThis, { localStorage: undefined });
  GLUCOSE.set("mmol/L");
  assert.equal(GLUCOSE.get(), "mg/dL");
});

test("the language is the chosen one", () => {
  LANGUAGE.set("de");
  assert.equal(language(), "de");
  LANGUAGE.set("en");
  assert.equal(language(), "en");
});

test("times are shown in the zone that is used, and that is said; what is no zone is told apart", () => {
  const noon = Date.UTC(2026, 0, 15, 12);
  time.useZone("America/New_York");
  assert.equal(time.clock(noon), "07:00");
  assert.equal(time.zone(), "America/New_York");
  assert.equal(time.clockIn(noon, "Europe/Berlin"), "13:00");
  time.useZone(null);
  assert.equal(time.isZone("Europe/Berlin"), true);
  for (const wrong of ["", "Mars/Base", "<b>"]) assert.equal(time.isZone(wrong), false);
});
