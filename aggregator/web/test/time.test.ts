import assert from "node:assert/strict";
import { test } from "node:test";
import { CentreClock, span } from "../src/time.ts";

test("the centre's clock runs at the rate it was told", () => {
  const clock = new CentreClock();
  clock.told(1_000_000, 20, 500);
  assert.equal(clock.now(1500), 1_020_000);
});

test("without being told, known times are a lower bound", () => {
  const clock = new CentreClock();
  assert.equal(clock.known, false);
  clock.observed(1000, 0, false);
  clock.observed(900, 10, false);
  assert.equal(clock.now(100), 1100);
  clock.observed(5000, 100, false);
  assert.equal(clock.now(100), 5000);
});

test("without being told, a test clock's rate is learned", () => {
  const clock = new CentreClock();
  for (let local = 0; local <= 10_000; local += 500) clock.observed(local * 20, local, true);
  assert.equal(Math.round(clock.rate), 20);
  assert.ok(Math.abs(clock.now(11_000) - 220_000) < 1000);
});

test("an event from ahead of the estimate moves it forward, never back", () => {
  const clock = new CentreClock();
  clock.told(1000, 1, 0);
  clock.observed(3000, 1000, false);
  assert.equal(clock.now(1000), 3000);
  clock.observed(2000, 1000, false);
  assert.equal(clock.now(1000), 3000);
});

test("spans have one unit and round down", () => {
  const digits = (ms: number) => span(ms).replace(/[^\d]/g, "");
  assert.equal(digits(-5), "0");
  assert.equal(digits(59_999), "59");
  assert.equal(digits(60_000), "1");
  assert.equal(digits(3_599_999), "59");
  assert.equal(digits(7_200_000), "2");
  assert.equal(digits(3 * 86_400_000), "3");
});
