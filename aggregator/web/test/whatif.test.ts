import assert from "node:assert/strict";
import { test } from "node:test";
import type { Evidence } from "../src/model.ts";
import { whatIf } from "../src/whatif.ts";
import { alert } from "./make.ts";

const evidence = (label: string, value: number | null, limit: number | null, contribution = 1): Evidence => ({ kind: 5, label, value, limit, effective: 0, quality: 0, contribution });

test("a figure on the other side of its limit", () => {
  const of = (condition: string, ...all: Evidence[]) => {
    const found = whatIf(alert({ condition, evidence: all }));
    return found?.what === "limit" ? [found.evidence.label, found.above, found.limit, found.foreseen] : found;
  };
  assert.deepEqual(of("oxygen_saturation_low", evidence("SpO2", 87, 92)), ["SpO2", true, 92, false]);
  assert.deepEqual(of("heart_rate_high", evidence("slope", 3, null, 0.9), evidence("HR", 131, 120, 0.1)), ["HR", false, 120, false]);
  // Foreseen: it is on the good side yet.
  assert.deepEqual(of("oxygen_saturation_falling", evidence("fall", 2, null), evidence("Level now", 93, 92, 0)), ["Level now", true, 92, true]);
  // Nothing is guessed.
  assert.equal(of("device_lost", evidence("lost", null, null)), null);
  assert.equal(of("fever", evidence("temperature", 38, 38)), null);
  assert.equal(of("fever"), null);
});

test("a score with fewer points", () => {
  const of = (priority: "medium" | "high", ...labels: string[]) => {
    const found = whatIf(alert({ condition: "early_warning_score", priority, evidence: labels.map((label) => evidence(label, 1, null)) }));
    return found?.what === "points" ? [found.fewer, found.total, found.parts.join()] : found;
  };
  assert.deepEqual(of("medium", "oxygen saturation scores 3", "pulse scores 2"), [1, 5, "oxygen saturation"]);
  // One part alone calls, and would with fewer points of another.
  assert.deepEqual(of("medium", "respiratory rate scores 3", "pulse scores 2"), [1, 5, "respiratory rate"]);
  assert.deepEqual(of("medium", "respiratory rate scores 3"), [1, 3, "respiratory rate"]);
  assert.deepEqual(of("medium", "respiratory rate scores 3", "temperature scores 3"), [2, 6, "respiratory rate,temperature"]);
  assert.deepEqual(of("high", "respiratory rate scores 3", "oxygen saturation scores 3", "pulse scores 3"), [3, 9, "respiratory rate"]);
  assert.equal(of("medium", "something else"), null);
  assert.equal(of("medium", "pulse scores 1"), null, "the rules are other ones than the published");
});
