import assert from "node:assert/strict";
import { test } from "node:test";
import { Bell, burst, loudest, PAUSE, ringing } from "../src/sound.ts";
import { alert } from "./make.ts";

test("of counts the most urgent that there is rings", () => {
  assert.equal(loudest({ high: 0, medium: 2, low: 5 }), "medium");
  assert.equal(loudest({ high: 1, medium: 0, low: 0 }), "high");
  assert.equal(loudest({ high: 0, medium: 0, low: 0 }), null);
});

test("bursts: ten, three and one pulses; the more urgent the faster and higher; pulses do not overlap", () => {
  assert.deepEqual((["high", "medium", "low"] as const).map((priority) => burst(priority).length), [10, 3, 1]);
  for (const priority of ["high", "medium", "low"] as const) {
    const pulses = burst(priority);
    pulses.forEach((pulse, i) => {
      const next = pulses[i + 1];
      if (next) assert.ok(next.at >= pulse.at + pulse.length, `${priority} ${i}`);
      assert.ok(pulse.pitch >= 150 && pulse.pitch <= 1000);
    });
  }
  assert.ok(burst("high")[0]!.pitch > burst("medium")[0]!.pitch && burst("medium")[0]!.pitch > burst("low")[0]!.pitch);
});

test("what rings is the most urgent that nobody saw and nobody silenced", () => {
  assert.equal(ringing([]), null);
  assert.equal(ringing([alert({ priority: "low" }), alert({ priority: "medium" })]), "medium");
  assert.equal(ringing([alert({ priority: "high", state: "acknowledged" }), alert({ priority: "medium", snoozedUntil: 9 })]), null);
});

test("high and medium sound again while they wait, low once; what is more urgent does not wait its turn", () => {
  const bell = new Bell();
  assert.equal(bell.due(0, "low"), "low");
  assert.equal(bell.due(3_600_000, "low"), null);
  assert.equal(bell.due(3_600_001, "medium"), "medium");
  assert.equal(bell.due(3_610_000, "medium"), null);
  assert.equal(bell.due(3_610_000, "high"), "high");
  assert.equal(bell.due(3_612_000, "high"), null);
  assert.equal(bell.due(3_618_000, "high"), "high");
  assert.equal(bell.due(3_619_000, null), null);
  assert.equal(bell.due(3_619_001, "low"), "low", "after silence a first one is heard");
});

test("news is heard at once, unless something more urgent sounds", () => {
  const bell = new Bell();
  bell.due(0, "medium");
  bell.news("medium");
  assert.equal(bell.due(1000, "medium"), "medium");
  bell.due(2000, "high");
  bell.news("low");
  assert.equal(bell.due(3000, "high"), null);
});

test("a pause is a pause: it ends by itself, and a new high priority ends it", () => {
  const bell = new Bell();
  bell.due(0, "high");
  bell.pause(1000);
  assert.equal(bell.due(20_000, "high"), null);
  bell.news("medium");
  assert.equal(bell.due(21_000, "high"), null);
  assert.equal(bell.due(1000 + PAUSE, "high"), "high");
  bell.pause(200_000);
  bell.news("high");
  assert.equal(bell.pausedUntil(200_001), null);
  assert.equal(bell.due(200_001, "high"), "high");
});
