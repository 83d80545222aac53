import assert from "node:assert/strict";
import { test } from "node:test";
import { alert, channel, forecast, twin } from "./make.ts";
import {
  allStale,
  announcements,
  crossing,
  firstCrossing,
  health,
  isStale,
  keyVital,
  lastData,
  mayAct,
  mayRecord,
  openAlerts,
  reduce,
  START,
  unacknowledged,
  worklist,
  worklistMemo,
  type Action,
  type State,
} from "../src/store.ts";
import { session as convertSession } from "../src/convert.ts";
import type { Alert, Role } from "../src/model.ts";

const alerts = (...list: Alert[]): Action[] => list.map((a) => ({ type: "alert", alert: a, snapshot: false }));
const order = (state: State) => worklist(state).map((row) => row.patient);

test("worklist: priority first, within it unacknowledged first, physiological before technical, then longest waiting", () => {
  const state = reduce(START, [
    ...["a", "b", "c", "d", "e", "f"].map((patient): Action => ({ type: "twin", twin: twin({ patient }), snapshot: false, conflated: 0 })),
    ...alerts(
      alert({ id: "1", patient: "f", priority: "high", state: "acknowledged", raised: 1 }),
      alert({ id: "2", patient: "e", priority: "high", raised: 200 }),
      alert({ id: "3", patient: "d", priority: "high", raised: 100 }),
      alert({ id: "4", patient: "c", priority: "high", category: "technical", raised: 1 }),
      alert({ id: "5", patient: "b", priority: "medium", raised: 1 }),
    ),
  ]);
  assert.deepEqual(order(state), ["d", "e", "c", "f", "b", "a"]);
  assert.deepEqual(worklist(state).map((row) => row.group), ["waiting", "waiting", "waiting", "taken", "waiting", "calm"]);
});

test("what was acknowledged stays above what is less urgent, and hides no alert that waits", () => {
  const state = reduce(
    START,
    alerts(
      alert({ id: "low", priority: "low" }),
      alert({ id: "taken", priority: "high", state: "acknowledged" }),
      alert({ id: "high", priority: "high", raised: 9 }),
    ),
  );
  assert.deepEqual(openAlerts(state).map((a) => a.id), ["high", "taken", "low"]);
  const one = reduce(START, alerts(alert({ id: "low", priority: "low" }), alert({ id: "taken", priority: "high", state: "acknowledged" })));
  assert.deepEqual(worklist(one).map((row) => [row.alerts[0]?.id, row.group]), [["taken", "waiting"]]);
});

test("an alert is shown even before its patient's twin came", () => {
  const state = reduce(START, alerts(alert({ patient: "early" })));
  assert.deepEqual(order(state), ["early"]);
});

test("an older state of an alert or twin never replaces a newer one", () => {
  const state = reduce(START, [
    ...alerts(alert({ id: "1", position: 9n, state: "acknowledged" }), alert({ id: "1", position: 8n, state: "active" })),
    { type: "twin", twin: twin({ position: 9n, known: 9, alerts: [alert({ id: "1", position: 7n })] }), snapshot: false, conflated: 2 },
    { type: "twin", twin: twin({ position: 8n, known: 8 }), snapshot: false, conflated: 1 },
  ]);
  assert.equal(state.alerts.get("1")?.state, "acknowledged");
  assert.equal(state.twins.get("p")?.known, 9);
  assert.equal(state.conflated, 2);
});

test("an alert that only the twin carries is open too", () => {
  const state = reduce(START, [{ type: "twin", twin: twin({ alerts: [alert({ id: "t" })] }), snapshot: false, conflated: 0 }]);
  assert.deepEqual(openAlerts(state).map((a) => a.id), ["t"]);
});

test("a whole snapshot removes what it does not name; a cut-off one removes nothing", () => {
  const before = reduce(START, [
    ...alerts(alert({ id: "gone" }), alert({ id: "stays" }), alert({ id: "old", state: "resolved", resolved: 5 })),
    { type: "twin", twin: twin({ patient: "left" }), snapshot: false, conflated: 0 },
  ]);
  const cut = reduce(before, [{ type: "alert", alert: alert({ id: "stays" }), snapshot: true }]);
  const again = reduce(cut, [{ type: "link", stream: "alerts", link: { phase: "connecting", since: 0, attempt: 1, retryAt: null } }]);
  assert.equal(again.alerts.size, 3);
  assert.equal(again.snapshot.alerts, null);
  const whole = reduce(again, [
    { type: "alert", alert: alert({ id: "stays" }), snapshot: true },
    { type: "complete", stream: "alerts" },
    { type: "complete", stream: "twins" },
  ]);
  assert.deepEqual([...whole.alerts.keys()].sort(), ["old", "stays"]);
  assert.equal(whole.twins.size, 0);
  assert.equal(whole.complete.alerts, true);
});

test("reduce does not change the state that it is given", () => {
  const before = reduce(START, alerts(alert({ id: "1" })));
  reduce(before, [...alerts(alert({ id: "2" })), { type: "complete", stream: "alerts" }]);
  assert.equal(before.alerts.size, 1);
  assert.equal(before.complete.alerts, false);
  assert.equal(START.alerts.size, 0);
});

test("signing out forgets every patient", () => {
  const before = reduce(START, [
    ...alerts(alert({})),
    { type: "twin", twin: twin({}), snapshot: false, conflated: 0 },
  ]);
  const after = reduce(before, [...alerts(alert({ id: "late" })), { type: "signed-out" }]);
  assert.equal(after.phase, "signed-out");
  assert.equal(after.alerts.size + after.twins.size, 0);
});

test("resolved alerts are kept up to a bound, open ones without", () => {
  const resolved = Array.from({ length: 700 }, (_, i) => alert({ id: `r${i}`, state: "resolved", resolved: i }));
  const open = Array.from({ length: 700 }, (_, i) => alert({ id: `o${i}` }));
  const state = reduce(START, alerts(...resolved, ...open));
  assert.equal(openAlerts(state).length, 700);
  assert.equal(state.alerts.size, 1200);
  assert.ok(state.alerts.has("r699") && !state.alerts.has("r0"));
});

test("counts are of unacknowledged alerts only", () => {
  const state = reduce(
    START,
    alerts(alert({ id: "1", priority: "high" }), alert({ id: "2", priority: "high", state: "acknowledged" }), alert({ id: "3", priority: "low" })),
  );
  assert.deepEqual(unacknowledged(state), { high: 1, medium: 0, low: 1 });
});

test("only what is new after the first snapshot is announced, and only high priority interrupts", () => {
  const first = reduce(START, alerts(alert({ id: "1" })));
  assert.deepEqual(announcements(START, first), []);
  const complete = reduce(first, [{ type: "complete", stream: "alerts" }, ...alerts(alert({ id: "1" }))]);
  const next = reduce(
    complete,
    alerts(alert({ id: "2", priority: "low" }), alert({ id: "3", priority: "high" }), alert({ id: "1", state: "acknowledged", position: 5n })),
  );
  assert.deepEqual(
    announcements(complete, next).map((a) => [a.alert.id, a.assertive]),
    [
      ["3", true],
      ["2", false],
    ],
  );
  const urgent = reduce(next, alerts(alert({ id: "2", priority: "high", position: 6n })));
  assert.deepEqual(announcements(next, urgent).map((a) => a.alert.id), ["2"]);
});

test("an acknowledged alert is announced again when it gets worse or waits again, and only then", () => {
  const taken = reduce(START, [
    { type: "complete", stream: "alerts" },
    ...alerts(alert({ id: "1", priority: "medium", state: "acknowledged" })),
  ]);
  const next = (change: Partial<Alert>) => announcements(taken, reduce(taken, alerts(alert({ id: "1", position: 2n, ...change }))));
  assert.deepEqual(next({ priority: "high", state: "active" }).map((a) => a.assertive), [true]);
  assert.equal(next({ priority: "high", state: "acknowledged" }).length, 1);
  assert.equal(next({ priority: "medium", state: "active" }).length, 1);
  assert.equal(next({ priority: "medium", state: "acknowledged" }).length, 0);
  assert.equal(next({ priority: "high", state: "resolved" }).length, 0);
});

test("what is silenced is not announced, and is when it is heard again", () => {
  const start = reduce(START, [{ type: "complete", stream: "alerts" }]);
  const silenced = reduce(start, alerts(alert({ id: "1", priority: "medium", snoozedUntil: 99 })));
  assert.equal(announcements(start, silenced).length, 0);
  const woken = reduce(silenced, alerts(alert({ id: "1", priority: "medium", position: 2n })));
  assert.equal(announcements(silenced, woken).length, 1);
  const called = reduce(woken, alerts(alert({ id: "1", priority: "medium", nextCall: 5, position: 3n })));
  assert.equal(announcements(woken, called).length, 0, "a call is no news here");
});

test("key vital: what the alert rests on, else what is foreseen to cross, else the usual one", () => {
  const t = twin({ channels: [channel({ kind: 1 }), channel({ kind: 5 }), channel({ kind: 7 })] });
  const respiratory = alert({
    evidence: [
      { kind: 5, label: "", value: 1, limit: null, avoidedAt: null, effective: 0, quality: 0, contribution: 0.2, known: false },
      { kind: 7, label: "", value: 1, limit: null, avoidedAt: null, effective: 0, quality: 0, contribution: 0.8, known: false },
    ],
  });
  const rhythm = alert({ evidence: [{ kind: 2, label: "", value: 1, limit: null, avoidedAt: null, effective: 0, quality: 0, contribution: 1, known: false }] });
  assert.equal(keyVital(t, [respiratory]), 7);
  assert.equal(keyVital(t, [rhythm]), 1);
  assert.equal(keyVital(t, [alert({ category: "technical", evidence: respiratory.evidence })]), 5);
  assert.equal(keyVital({ ...t, forecasts: [forecast({ kind: 1, crosses: 10, threshold: 130 })] }, []), 1);
  assert.equal(keyVital(null, [respiratory]), null);
});

test("the first crossing wins; what is beyond already comes before it", () => {
  const forecasts = [forecast({ kind: 1, crosses: 20, threshold: 130 }), forecast({ kind: 5, crosses: 10, threshold: 92 }), forecast({ kind: 7 })];
  assert.equal(firstCrossing(twin({ forecasts }))?.kind, 5);
  assert.equal(firstCrossing(twin({ forecasts, channels: [channel({ kind: 1, value: 140 })] }))?.kind, 1);
  assert.equal(firstCrossing(twin({ forecasts: [forecast({ threshold: 92 })], channels: [channel({ kind: 5, value: 95 })] })), null);
});

test("a crossing says its direction, and whether it is past already", () => {
  const falling = forecast({ kind: 5, crosses: 10, threshold: 92, points: [{ at: 5, value: 93, low: null, high: null }, { at: 15, value: 91, low: null, high: null }] });
  const at = (value: number) => crossing(twin({ channels: [channel({ kind: 5, value })] }), falling);
  assert.deepEqual(at(94), { kind: 5, threshold: 92, falling: true, at: 10 });
  assert.equal(at(91)?.at, null);
  assert.equal(crossing(twin({ channels: [channel({ kind: 5, value: 91 })] }), { ...falling, crosses: null })?.at, null);
  const rising = { ...falling, kind: 1, threshold: 90 };
  assert.deepEqual(crossing(twin({ channels: [channel({ kind: 1, value: 85 })] }), rising), { kind: 1, threshold: 90, falling: false, at: 10 });
  assert.equal(crossing(twin({}), forecast({ kind: 5 })), null);
});

test("stale by the centre's word, by age, or because the line is down", () => {
  const fresh = channel({ effective: 1000, freshFor: 60_000 });
  assert.equal(isStale(fresh, 2000, false), false);
  assert.equal(isStale(fresh, 62_000, false), true);
  assert.equal(isStale(fresh, 2000, true), true);
  assert.equal(isStale({ ...fresh, stale: true }, 2000, false), true);
});

test("a sensor that says it is not worn is no data of the body; neither are steps", () => {
  const worn = channel({ kind: 1, effective: 1000, freshFor: 60_000 });
  const off = channel({ kind: 1, value: null, absence: 6, effective: 9000, freshFor: 60_000 });
  const steps = channel({ kind: 10, effective: 9000, freshFor: 60_000 });
  assert.equal(lastData(twin({ channels: [worn, steps] })), 1000);
  assert.equal(lastData(twin({ channels: [off, steps] })), null);
  assert.equal(allStale(twin({ channels: [off, steps] }), 9000, false), true);
  assert.equal(allStale(twin({ channels: [worn] }), 9000, false), false);
});

test("health: one broken stream is enough; a first reconnect has a moment's grace", () => {
  const link = (phase: "live" | "waiting" | "connecting", attempt: number) => ({ phase, since: 0, attempt, retryAt: null });
  const state = (twins: ReturnType<typeof link>) => ({ ...START, links: { twins, alerts: link("live", 0) } });
  assert.equal(health(state(link("live", 0)), 0), "live");
  assert.equal(health(state(link("connecting", 0)), 9999), "connecting");
  assert.equal(health(state(link("waiting", 1)), 1000), "connecting");
  assert.equal(health(state(link("waiting", 1)), 4000), "down");
  assert.equal(health(state(link("connecting", 2)), 0), "down");
});

test("nothing of a patient who is no longer seen stays, but what still rings until its own stream says otherwise", () => {
  const come = (patient: string): Action => ({ type: "twin", twin: twin({ patient }), snapshot: true, conflated: 0 });
  let state = reduce(START, [come("a"), come("b"), come("c"), { type: "complete", stream: "twins" }]);
  state = reduce(state, [{ type: "names", names: new Map([["a", "Ann"], ["b", "Ben"], ["c", "Cid"]]) }]);
  state = reduce(state, [...alerts(alert({ id: "1", patient: "b", state: "resolved" })), ...alerts(alert({ id: "2", patient: "c" }))]);
  state = reduce(state, [come("a"), { type: "complete", stream: "twins" }]);
  assert.deepEqual([...state.twins.keys()], ["a"]);
  assert.deepEqual([...state.alerts.keys()], ["2"]);
  assert.deepEqual([...state.names.keys()], ["a", "c"]);
});

test("what a role may not do is not offered", () => {
  const of = (role: Role, kind: number) => {
    const state = reduce(START, [{ type: "session", session: { ...convertSession({}), role }, roundTrip: 1 }]);
    return [mayAct(state), mayRecord(state, kind)];
  };
  const [words, target] = [6, 10];
  for (const role of ["viewer", "administrator", "patient"] as const) assert.deepEqual(of(role, words), [false, false], role);
  assert.deepEqual([of("nurse", words), of("nurse", target)], [[true, true], [true, false]]);
  for (const role of ["doctor", "supervisor", ""] as const) assert.deepEqual(of(role, target), [true, true], role);
});

test("the order of rows is worked out anew when alerts, names or who is there change, and not when values do", () => {
  const rows = worklistMemo();
  const come = (patient: string, known = 0): Action => ({ type: "twin", twin: twin({ patient, known }), snapshot: false, conflated: 0 });
  let state = reduce(START, [come("b"), come("a")]);
  const first = rows(state);
  state = reduce(state, [come("a", 5)]);
  assert.equal(rows(state), first);
  state = reduce(state, [come("c")]);
  assert.deepEqual(rows(state).map((row) => row.patient), ["a", "b", "c"]);
  state = reduce(state, [{ type: "names", names: new Map([["a", "Zoe"]]) }]);
  assert.deepEqual(rows(state).map((row) => row.patient), ["b", "c", "a"]);
  state = reduce(state, alerts(alert({ patient: "c" })));
  assert.deepEqual(rows(state).map((row) => row.patient), ["c", "b", "a"]);
  // Who is not in a new snapshot is gone.
  state = reduce(state, [{ ...come("b"), snapshot: true } as Action, { type: "complete", stream: "twins" }]);
  assert.deepEqual(rows(state).map((row) => row.patient), ["c", "b"]);
});
