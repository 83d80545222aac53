// What people do about alerts: what is to be done next, what may be done at all, and what a shift hands to the next.
// Pure. The centre judges each act anew; here stands what the page offers.

import type { Alert, Snooze, Twin } from "./model.ts";
import { byUrgency } from "./store.ts";

export type Next =
  /** All were called and nobody took notice. */
  | { readonly what: "unanswered" }
  /** Somebody must take notice; when the next person is called. */
  | { readonly what: "acknowledge"; readonly nextCall: number | null }
  /** Somebody took notice, and it is nobody's affair in particular. */
  | { readonly what: "take" }
  | { readonly what: "yours" }
  | { readonly what: "theirs"; readonly owner: string }
  | { readonly what: "silenced"; readonly until: number }
  | { readonly what: "nothing" };

/** The next step for a patient, from their open alerts, as `me` sees it. */
export function nextStep(alerts: readonly Alert[], me: string): Next {
  const open = alerts.filter((alert) => alert.state !== "resolved").sort(byUrgency);
  const heard = open.filter((alert) => alert.snoozedUntil === null);
  const waiting = heard.find((alert) => alert.state === "active" && alert.partOf === "");
  if (heard.some((alert) => alert.state === "active" && alert.unanswered !== null)) return { what: "unanswered" };
  if (waiting) return { what: "acknowledge", nextCall: waiting.nextCall };
  const [first] = heard;
  if (first) {
    if (heard.some((alert) => alert.owner === "")) return { what: "take" };
    return heard.some((alert) => alert.owner === me) ? { what: "yours" } : { what: "theirs", owner: first.owner };
  }
  const wakes = open.map((alert) => alert.snoozedUntil).filter((until) => until !== null);
  return wakes.length > 0 ? { what: "silenced", until: Math.min(...wakes) } : { what: "nothing" };
}

/** Whose affair the open alerts are, each name once, in order of urgency. */
export function owners(alerts: readonly Alert[]): string[] {
  return [...new Set(alerts.map((alert) => alert.owner).filter((owner) => owner !== ""))];
}

/** High priority is acknowledged one by one, by someone who looked at it. */
export function bulkable(alert: Alert): boolean {
  return alert.state === "active" && alert.priority !== "high";
}

/** Nothing silences a condition that holds at high priority. `all`: the alerts that the page knows. */
export function silenceable(alert: Alert, all: Iterable<Alert>): boolean {
  if (alert.state === "resolved") return false;
  for (const other of all) {
    const same = other.patient === alert.patient && other.condition === alert.condition && other.state !== "resolved";
    if (same && other.priority === "high") return false;
  }
  return alert.priority !== "high";
}

/** Names that acts carry, for suggestions when somebody is to answer for an alert. */
export function peopleSeen(alerts: Iterable<Alert>, me: string): string[] {
  const names = new Set<string>([me]);
  for (const alert of alerts) {
    for (const name of [alert.owner, alert.acknowledgedBy, ...alert.comments.map((comment) => comment.by)]) names.add(name);
  }
  names.delete("");
  return [...names].sort((a, b) => a.localeCompare(b));
}

export interface Handover {
  /** Called to the end, and nobody took notice. */
  readonly unanswered: Alert[];
  readonly waiting: Alert[];
  /** Acknowledged and not over. */
  readonly taken: Alert[];
  /** About devices and the way of the data, and not over. */
  readonly silent: Alert[];
  readonly silenced: { readonly patient: string; readonly snooze: Snooze }[];
  /** Over since `since`. */
  readonly over: Alert[];
}

/** What the next shift must know. An alert stands in one part only; what is silenced is listed with its reason too. */
export function handover(alerts: Iterable<Alert>, twins: Iterable<Twin>, now: number, since: number): Handover {
  const parts: Handover = { unanswered: [], waiting: [], taken: [], silent: [], silenced: [], over: [] };
  for (const alert of alerts) {
    if (alert.state === "resolved") {
      if ((alert.resolved ?? 0) >= since) parts.over.push(alert);
    } else if (alert.state === "active" && alert.unanswered !== null && alert.snoozedUntil === null) parts.unanswered.push(alert);
    else if (alert.category === "technical") parts.silent.push(alert);
    else if (alert.state === "acknowledged") parts.taken.push(alert);
    else parts.waiting.push(alert);
  }
  for (const { patient, snoozes } of twins) {
    for (const snooze of snoozes) if (snooze.until > now) parts.silenced.push({ patient, snooze });
  }
  for (const list of [parts.unanswered, parts.waiting, parts.taken, parts.silent]) list.sort(byUrgency);
  parts.over.sort((a, b) => (b.resolved ?? 0) - (a.resolved ?? 0));
  parts.silenced.sort((a, b) => a.snooze.until - b.snooze.until);
  return parts;
}

/** The alert as it was known at `then`; null if nobody knew of it. Comments and calls that came later are left out. */
export function asKnownAt(alert: Alert, then: number): Alert | null {
  if (alert.raised > then) return null;
  const gone = alert.resolved !== null && alert.resolved <= then;
  const seen = alert.acknowledged !== null && alert.acknowledged <= then;
  return {
    ...alert,
    state: gone ? "resolved" : seen ? "acknowledged" : "active",
    resolved: gone ? alert.resolved : null,
    acknowledged: seen ? alert.acknowledged : null,
    acknowledgedBy: seen ? alert.acknowledgedBy : "",
    acknowledgeNote: seen ? alert.acknowledgeNote : "",
    calls: alert.calls.filter((call) => call.at <= then),
    comments: alert.comments.filter((comment) => comment.at <= then),
    withdrawn: alert.withdrawn !== null && alert.withdrawn.at <= then ? alert.withdrawn : null,
    nextCall: null,
    nextDuty: null,
    unanswered: alert.unanswered !== null && alert.unanswered <= then ? alert.unanswered : null,
    snoozedUntil: null,
    partOf: "",
  };
}
