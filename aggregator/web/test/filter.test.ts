import assert from "node:assert/strict";
import { test } from "node:test";
import { ALL, FACETS, facetsOf, keeping, keptOf, LONGEST, MOST, neverHidden, ofFacets, passes, type Filter, type Seen } from "../src/filter.ts";
import type { Alert } from "../src/model.ts";
import type { Row } from "../src/store.ts";
import { alert } from "./make.ts";

const row = (...alerts: Alert[]): Row => ({
  patient: "p-7",
  alerts,
  group: alerts.length === 0 ? "calm" : alerts.some((one) => one.state === "active") ? "waiting" : "taken",
});
const seen = (of: Row, stale = false): Seen => ({ row: of, name: "Ada Berg", stale });
const by = (more: Partial<Filter>) => ({ ...ALL, ...more });

test("each facet lets through what it names", () => {
  const calm = seen(row());
  const waits = seen(row(alert({ owner: "me" })));
  const taken = seen(row(alert({ state: "acknowledged", category: "technical" })), true);
  const through = (filter: Filter, words = "") => [calm, waits, taken].map((one) => passes(one, filter, words, "me"));
  assert.deepEqual(through(ALL), [true, true, true]);
  assert.deepEqual(through(by({ alerts: "open" })), [false, true, true]);
  assert.deepEqual(through(by({ alerts: "waiting" })), [false, true, false]);
  assert.deepEqual(through(by({ category: "technical" })), [false, false, true]);
  assert.deepEqual(through(by({ owner: "mine" })), [false, true, false]);
  assert.deepEqual(through(by({ owner: "nobody" })), [false, false, true]);
  assert.deepEqual(through(by({ data: "stale" })), [false, false, true]);
  assert.deepEqual(through(by({ data: "fresh" })), [true, true, false]);
  assert.deepEqual(through(ALL, "bErg"), [true, true, true]);
  assert.deepEqual(through(ALL, "P-7"), [true, true, true]);
  assert.deepEqual(through(ALL, "nobody"), [false, false, false]);
});

test("what waits at high priority is never hidden", () => {
  assert.equal(neverHidden(row(alert({ priority: "low" }), alert({ priority: "high" }))), true);
  assert.equal(neverHidden(row(alert({ priority: "high", state: "acknowledged" }))), false);
  assert.equal(neverHidden(row(alert({ priority: "medium" }))), false);
});

test("kept filters are each viewer's own, bounded, and survive what storage may hold", () => {
  const mine = { name: "nights", filter: by({ owner: "mine" }) };
  const stored = keeping(keeping(null, "Ana", [mine]), "Ben", []);
  assert.deepEqual(keptOf(JSON.parse(JSON.stringify(stored)), "Ana"), [mine]);
  assert.deepEqual(keptOf(stored, "Ben"), []);
  for (const wrong of [null, 7, "x", [], { Ana: 3 }, { Ana: [null, { name: 1, filter: {} }, { name: "n", filter: 2 }] }]) assert.deepEqual(keptOf(wrong, "Ana"), []);
  const odd = keptOf({ Ana: [{ name: "n".repeat(500), filter: { alerts: "<script>", data: "stale", more: 1 } }] }, "Ana");
  assert.deepEqual(odd, [{ name: "n".repeat(LONGEST), filter: by({ data: "stale" }) }]);
  assert.equal(keptOf(keeping({}, "Ana", Array.from({ length: 99 }, () => mine)), "Ana").length, MOST);
  assert.deepEqual(Object.keys(FACETS), Object.keys(ALL));
});

test("what a team keeps is the same filter for all of it, and unknown facets show more, not less", () => {
  const filter = by({ alerts: "waiting", data: "stale" });
  assert.deepEqual(facetsOf(filter), ["alerts=waiting", "data=stale"]);
  assert.deepEqual(ofFacets(facetsOf(filter)), filter);
  assert.deepEqual(facetsOf(ALL), []);
  assert.deepEqual(ofFacets(["ward=3", "data=new", "constructor=x", "", "alerts=open"]), by({ alerts: "open" }));
});
