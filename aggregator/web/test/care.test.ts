import assert from "node:assert/strict";
import { test } from "node:test";
import { asKnownAt, bulkable, handover, nextStep, owners, peopleSeen, silenceable } from "../src/care.ts";
import { alert, twin } from "./make.ts";

test("the next step: who was called in vain first, then what waits, then what is nobody's, then what is whose", () => {
  const waits = alert({ id: "1", nextCall: 9 });
  const vain = alert({ id: "2", priority: "low", unanswered: 5 });
  const mine = alert({ id: "3", state: "acknowledged", owner: "me" });
  const hers = alert({ id: "4", state: "acknowledged", owner: "her" });
  const free = alert({ id: "5", state: "acknowledged" });
  const quiet = alert({ id: "6", snoozedUntil: 70 });
  assert.deepEqual(nextStep([waits, vain], "me"), { what: "unanswered" });
  assert.deepEqual(nextStep([mine, waits], "me"), { what: "acknowledge", nextCall: 9 });
  assert.deepEqual(nextStep([mine, free], "me"), { what: "take" });
  assert.deepEqual(nextStep([hers, mine], "me"), { what: "yours" });
  assert.deepEqual(nextStep([hers, quiet], "me"), { what: "theirs", owner: "her" });
  assert.deepEqual(nextStep([quiet, alert({ id: "7", snoozedUntil: 60 })], "me"), { what: "silenced", until: 60 });
  assert.deepEqual(nextStep([], "me"), { what: "nothing" });
  assert.deepEqual(owners([hers, mine, hers, free]), ["her", "me"]);
});

test("high priority is never acknowledged in bulk, nor silenced, whichever alert of the condition is asked about", () => {
  assert.deepEqual((["high", "medium", "low"] as const).map((priority) => bulkable(alert({ priority }))), [false, true, true]);
  assert.equal(bulkable(alert({ state: "acknowledged" })), false);
  const medium = alert({ id: "m" });
  assert.equal(silenceable(medium, [medium, alert({ id: "o", priority: "high", condition: "another" })]), true);
  assert.equal(silenceable(medium, [medium, alert({ id: "h", priority: "high" })]), false);
  assert.equal(silenceable(medium, [medium, alert({ id: "h", priority: "high", state: "resolved" })]), true);
  assert.equal(silenceable(medium, [medium, alert({ id: "h", priority: "high", patient: "another" })]), true);
  assert.equal(silenceable(alert({ priority: "high" }), []), false);
});

test("a handover has each open alert once, what is silenced with its reason, and what ended in the shift", () => {
  const snooze = { condition: "c", by: "Ana", reason: "known", since: 0, until: 900 };
  const all = [
    alert({ id: "vain", priority: "high", unanswered: 4 }),
    alert({ id: "waits" }),
    alert({ id: "quiet", snoozedUntil: 900, unanswered: 4 }),
    alert({ id: "taken", state: "acknowledged" }),
    alert({ id: "off", category: "technical" }),
    alert({ id: "seen", category: "technical", state: "acknowledged" }),
    alert({ id: "ended", state: "resolved", resolved: 400 }),
    alert({ id: "long ago", state: "resolved", resolved: 50 }),
  ];
  const parts = handover(all, [twin({ snoozes: [snooze, { ...snooze, until: 300 }] })], 500, 100);
  const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id);
  assert.deepEqual(ids(parts.unanswered), ["vain"]);
  assert.deepEqual(ids(parts.waiting), ["quiet", "waits"]);
  assert.deepEqual(ids(parts.taken), ["taken"]);
  assert.deepEqual(ids(parts.silent), ["off", "seen"]);
  assert.deepEqual(ids(parts.over), ["ended"]);
  assert.deepEqual(parts.silenced, [{ patient: "p", snooze }]);
});

test("what was known then leaves out what people did later, and alerts that nobody knew of", () => {
  const now = alert({
    state: "resolved",
    raised: 100,
    acknowledged: 200,
    acknowledgedBy: "Ana",
    acknowledgeNote: "seen",
    resolved: 300,
    comments: [
      { at: 150, by: "Ben", text: "early" },
      { at: 250, by: "Ben", text: "late" },
    ],
  });
  assert.equal(asKnownAt(now, 99), null);
  const first = asKnownAt(now, 160)!;
  assert.deepEqual([first.state, first.acknowledgedBy, first.acknowledgeNote, first.comments.length], ["active", "", "", 1]);
  const second = asKnownAt(now, 260)!;
  assert.deepEqual([second.state, second.acknowledgedBy, second.resolved, second.comments.length], ["acknowledged", "Ana", null, 2]);
  assert.equal(asKnownAt(now, 300)!.state, "resolved");
});

test("names for suggestions are those that acts carry, each once", () => {
  const seen = [alert({ owner: "Zoe", comments: [{ at: 0, by: "Ben", text: "x" }] }), alert({ acknowledgedBy: "Zoe" })];
  assert.deepEqual(peopleSeen(seen, "Ana"), ["Ana", "Ben", "Zoe"]);
});
