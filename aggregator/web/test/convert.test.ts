import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as convert from "../src/convert.ts";
import { AlertSchema, AlertState, Category, Priority } from "../src/gen/v1/alert_pb.ts";
import { FactSchema } from "../src/gen/v1/context_pb.ts";
import { AccessSchema, HistoryChunkSchema, WaveformChunkSchema } from "../src/gen/v1/history_pb.ts";
import { TwinSchema } from "../src/gen/v1/twin_pb.ts";
import { Kind } from "../src/gen/v1/vitals_pb.ts";

test("a twin through its wire bytes keeps values, absences and times", () => {
  const wire = create(TwinSchema, {
    patient: "p-1",
    position: 7n,
    knownUs: 1_700_000_000_123_456n,
    channels: [
      { kind: Kind.OXYGEN_SATURATION, value: 97, effectiveUs: 1_700_000_000_000_000n, freshForUs: 60_000_000n, band: { low: 95, high: 99 }, disagreement: { source: 2, value: 82, sinceUs: 1_699_999_000_000_000n } },
      { kind: Kind.HEART_RATE, absence: 6 },
    ],
    scores: [{ name: "news2", low: 1, high: 9, parts: [{ name: "pulse", points: 0 }, { name: "air or oxygen", missingReason: "not known" }] }],
    forecasts: [{ kind: Kind.HEART_RATE, abstained: "too few readings", coverageNominal: 0.9 }],
    stateHash: new Uint8Array([0, 255]),
  });
  const twin = convert.twin(fromBinary(TwinSchema, toBinary(TwinSchema, wire)));
  assert.equal(twin.known, 1_700_000_000_123.456);
  assert.deepEqual([twin.channels[0]?.value, twin.channels[0]?.freshFor, twin.channels[0]?.band], [97, 60_000, { low: 95, high: 99 }]);
  assert.deepEqual([twin.channels[0]?.disagreement, twin.channels[1]?.disagreement], [{ value: 82, since: 1_699_999_000_000 }, null]);
  assert.deepEqual([twin.channels[1]?.value, twin.channels[1]?.absence, twin.channels[1]?.band], [null, 6, null]);
  assert.deepEqual(twin.scores[0]?.parts.map((part) => part.points), [0, null]);
  assert.deepEqual([twin.forecasts[0]?.crosses, twin.forecasts[0]?.coverageObserved], [null, null]);
  assert.equal(twin.stateHash, "00ff");
  assert.equal(twin.rhythm, null);
});

test("an alert keeps what is absent absent", () => {
  const alert = convert.alert(create(AlertSchema, { id: "a", priority: Priority.LOW, category: Category.TECHNICAL, state: AlertState.ACKNOWLEDGED, acknowledgedUs: 5000n }));
  assert.deepEqual([alert.priority, alert.category, alert.state], ["low", "technical", "acknowledged"]);
  assert.deepEqual([alert.acknowledged, alert.resolved, alert.onset, alert.expected, alert.probability], [5, null, null, null, null]);
});

test("what a newer centre may say is taken as the more urgent", () => {
  const alert = convert.alert(create(AlertSchema, { priority: 9 as Priority, category: 9 as Category, state: 9 as AlertState }));
  assert.deepEqual([alert.priority, alert.category, alert.state], ["high", "physiological", "active"]);
});

test("history keeps parallel lists parallel", () => {
  const slice = convert.historySlice(create(HistoryChunkSchema, { kind: Kind.HEART_RATE, source: 3, effectiveUs: [1000n, 2000n], value: [60, 61], quality: [0, 2] }));
  assert.deepEqual([slice.times, slice.values, slice.quality, slice.source], [[1, 2], [60, 61], [0, 2], 3]);
});

test("a session may say little or nonsense", () => {
  assert.deepEqual(convert.session(null), { person: "", role: "", testClock: "", fingerprint: "", testData: false, now: null, rate: null, locked: false, ringing: { high: 0, medium: 0, low: 0 } });
  // A role of a newer centre may look; the centre refuses what it may not.
  assert.equal(convert.session({ role: "archivist" }).role, "viewer");
  assert.equal(convert.session({ role: "nurse" }).role, "nurse");
  assert.deepEqual(convert.session({ locked: true, ringing: [1, "x"] }).ringing, { high: 1, medium: 0, low: 0 });
  assert.equal(convert.session({ now_us: 5000, rate: 20, test_clock: "x20", person: 7 }).now, 5);
});

test("a stretch without a usable reading has no mean; extremes come with the others", () => {
  const chunk = create(HistoryChunkSchema, {
    kind: Kind.HEART_RATE,
    source: 1,
    effectiveUs: [1_000_000n, 2_000_000n],
    value: [0, 61],
    quality: [4, 4],
    low: [0, 50],
    high: [0, 70],
    count: [0, 9],
    leftOut: [3, 1],
  });
  const slice = convert.historySlice(chunk);
  assert.deepEqual([slice.times, slice.values, slice.quality, slice.low, slice.high], [[2000], [61], [0], [50], [70]]);
  const raw = convert.historySlice(create(HistoryChunkSchema, { effectiveUs: [1000n], value: [60], quality: [4] }));
  assert.deepEqual([raw.values, raw.quality, raw.low], [[60], [4], []]);
});

test("waveform blocks: differences are summed, of several channels the first is taken, in the wave's unit", () => {
  const block = { wave: 3, startUs: 5_000_000n, rateMillihertz: 52_000, channels: 2, stepMantissa: 5, stepExponent: -1, numberDelta: [10n, 100n, 2n, 0n, -4n, 0n] };
  const [read] = convert.waveBlocks(create(WaveformChunkSchema, { source: 2, blocks: [block] }));
  assert.deepEqual(read, { wave: 3, source: 2, start: 5000, rate: 52, samples: [5, 6, 4] });
});

test("who looked is a person, an operator or a platform, and what a newer centre says is something", () => {
  const access = (of: object) => convert.access(create(AccessSchema, of));
  const ada = access({ by: "Ada", role: 2, teams: ["Ward 3"], part: 4, kinds: [1], named: true, fromUs: 5_000n, lastUs: 6_000n });
  assert.deepEqual(ada, { by: "Ada", is: "person", role: "nurse", teams: ["Ward 3"], part: "readings", kinds: [1], named: true, from: 5, last: 6 });
  const tele = access({ by: "platform tele med", part: 99 });
  assert.deepEqual([tele.is, tele.by, tele.role, tele.part], ["platform", "tele med", "", "something"]);
  assert.deepEqual([access({ by: "operator olga" }).is, access({ by: "operator" }).is], ["operator", "person"]);
});

test("a fact without a number and without an end", () => {
  const fact = convert.fact(create(FactSchema, { id: "x", kind: 10, text: "88-92", fromUs: 7_000n, recordedBy: "Ana" }));
  assert.deepEqual([fact.value, fact.to, fact.from, fact.text], [null, null, 7, "88-92"]);
});

test("an alert that was withdrawn says by whom and why", () => {
  const alert = convert.alert(create(AlertSchema, { withdrawnUs: 4_000n, withdrawnBy: "Ana", withdrawnReason: "swapped" }));
  assert.deepEqual(alert.withdrawn, { at: 4, by: "Ana", reason: "swapped" });
  assert.equal(convert.alert(create(AlertSchema, {})).withdrawn, null);
});
