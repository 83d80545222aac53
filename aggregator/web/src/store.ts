// What the page knows, as a pure fold over what the streams said, and what follows from it: who comes first,
// what is stale, what must be said aloud. No elements, no network, no clock.

import { BAD_BELOW, HEART_RATE, KEY_ORDER, NOT_BODY, RR_INTERVAL } from "./kinds.ts";
import type { Alert, Channel, Forecast, Kind, Priority, Score, Session, Twin } from "./model.ts";
import { CLOSED, type Link } from "./stream.ts";

export type StreamName = "twins" | "alerts";

export interface State {
  readonly phase: "starting" | "signed-in" | "signed-out";
  readonly session: Session | null;
  /** Display names by patient, of those who have one. */
  readonly names: ReadonlyMap<string, string>;
  readonly twins: ReadonlyMap<string, Twin>;
  readonly alerts: ReadonlyMap<string, Alert>;
  readonly links: Readonly<Record<StreamName, Link>>;
  /** True once a whole snapshot came. */
  readonly complete: Readonly<Record<StreamName, boolean>>;
  /** Counts who came and who went: the order of rows holds while this and the alerts do. */
  readonly roster: number;
  /** What the running snapshot named so far; null when none runs. */
  readonly snapshot: Readonly<Record<StreamName, ReadonlySet<string> | null>>;
  /** Twin states that were replaced by newer ones before they came here. */
  readonly conflated: number;
  readonly roundTrip: number | null;
  /** Who else has whose page open just now, by patient. */
  readonly lookers: ReadonlyMap<string, readonly string[]>;
}

export const START: State = {
  phase: "starting",
  session: null,
  names: new Map(),
  twins: new Map(),
  alerts: new Map(),
  links: { twins: CLOSED, alerts: CLOSED },
  complete: { twins: false, alerts: false },
  roster: 0,
  snapshot: { twins: null, alerts: null },
  conflated: 0,
  roundTrip: null,
  lookers: new Map(),
};

export type Action =
  | { readonly type: "session"; readonly session: Session; readonly roundTrip: number }
  | { readonly type: "signed-out" }
  | { readonly type: "names"; readonly names: ReadonlyMap<string, string> }
  | { readonly type: "twin"; readonly twin: Twin; readonly snapshot: boolean; readonly conflated: number }
  | { readonly type: "alert"; readonly alert: Alert; readonly snapshot: boolean }
  | { readonly type: "lookers"; readonly lookers: ReadonlyMap<string, readonly string[]> }
  | { readonly type: "complete"; readonly stream: StreamName }
  | { readonly type: "link"; readonly stream: StreamName; readonly link: Link };

/** Resolved alerts that are kept for the patient's page; older ones come from the centre when asked for. */
const RESOLVED_KEPT = 500;

/** Folds a batch of actions: a batch copies each map at most once, whatever its length. */
export function reduce(state: State, actions: readonly Action[]): State {
  let next = state;
  let twins: Map<string, Twin> | null = null;
  let alerts: Map<string, Alert> | null = null;
  const ownTwins = () => (twins ??= new Map(state.twins));
  const ownAlerts = () => (alerts ??= new Map(state.alerts));

  const upsert = (alert: Alert, fromTwin: boolean) => {
    const known = (alerts ?? state.alerts).get(alert.id);
    if (known && (fromTwin ? alert.position <= known.position : alert.position < known.position)) return;
    ownAlerts().set(alert.id, alert);
  };
  const own: { twins?: Set<string>; alerts?: Set<string> } = {};
  const named = (stream: StreamName, id: string) => {
    let seen = own[stream];
    if (!seen || seen !== next.snapshot[stream]) {
      seen = new Set(next.snapshot[stream] ?? []);
      own[stream] = seen;
      next = { ...next, snapshot: { ...next.snapshot, [stream]: seen } };
    }
    seen.add(id);
  };
  const completed = (stream: StreamName) => {
    const seen = next.snapshot[stream] ?? new Set<string>();
    if (stream === "twins") {
      const gone = [...(twins ?? state.twins).keys()].filter((id) => !seen.has(id));
      for (const id of gone) ownTwins().delete(id);
      if (gone.length > 0) {
        // They may be another team's now: nothing of them stays but what still rings; the stream of alerts decides on that.
        const left = new Set(gone);
        for (const [id, alert] of alerts ?? state.alerts) {
          if (!left.has(alert.patient)) continue;
          if (alert.state === "resolved") ownAlerts().delete(id);
          else left.delete(alert.patient);
        }
        const names = new Map([...next.names].filter(([id]) => !left.has(id)));
        next = { ...next, names, roster: next.roster + 1 };
      }
    } else {
      // What a snapshot of the open alerts does not name was resolved while the line was down.
      for (const [id, alert] of alerts ?? state.alerts) {
        if (alert.state !== "resolved" && !seen.has(id)) ownAlerts().delete(id);
      }
    }
    next = {
      ...next,
      snapshot: { ...next.snapshot, [stream]: null },
      complete: { ...next.complete, [stream]: true },
    };
  };

  for (const action of actions) {
    switch (action.type) {
      case "session":
        next = { ...next, phase: "signed-in", session: action.session, roundTrip: action.roundTrip };
        break;
      case "signed-out":
        // Nothing about a patient stays in memory once the session is over.
        twins = null;
        alerts = null;
        state = { ...START, phase: "signed-out" };
        next = state;
        break;
      case "names":
        next = { ...next, names: action.names };
        break;
      case "twin": {
        if (action.snapshot) named("twins", action.twin.patient);
        const known = (twins ?? state.twins).get(action.twin.patient);
        if (known && !action.snapshot && action.twin.position < known.position) break;
        if (!known) next = { ...next, roster: next.roster + 1 };
        ownTwins().set(action.twin.patient, action.twin);
        for (const alert of action.twin.alerts) upsert(alert, true);
        next = { ...next, conflated: next.conflated + action.conflated };
        break;
      }
      case "alert":
        if (action.snapshot) named("alerts", action.alert.id);
        upsert(action.alert, false);
        break;
      case "lookers":
        next = { ...next, lookers: action.lookers };
        break;
      case "complete":
        completed(action.stream);
        break;
      case "link":
        next = { ...next, links: { ...next.links, [action.stream]: action.link } };
        // A snapshot that a broken line cut off begins again.
        if (action.link.phase === "connecting") next = { ...next, snapshot: { ...next.snapshot, [action.stream]: null } };
        break;
    }
  }
  if (twins) next = { ...next, twins };
  if (alerts) next = { ...next, alerts: forgetOldResolved(alerts) };
  return next;
}

function forgetOldResolved(alerts: Map<string, Alert>): Map<string, Alert> {
  const resolved = [...alerts.values()].filter((alert) => alert.state === "resolved");
  if (resolved.length <= RESOLVED_KEPT) return alerts;
  resolved.sort((a, b) => (a.resolved ?? 0) - (b.resolved ?? 0));
  for (const alert of resolved.slice(0, resolved.length - RESOLVED_KEPT)) alerts.delete(alert.id);
  return alerts;
}

// ---- What follows from the state ----

/** May whoever is signed in do something about alerts and facts? The centre decides; this spares them buttons in vain. */
export function mayAct(state: State): boolean {
  const role = state.session?.role ?? "";
  return role !== "viewer" && role !== "administrator" && role !== "patient";
}

/** Kinds of facts (wire numbers) that only who prescribes may record or take back: an oxygen target, an own limit. */
const PRESCRIBED: readonly number[] = [10, 14];

export function mayRecord(state: State, kind: number): boolean {
  return mayAct(state) && !(state.session?.role === "nurse" && PRESCRIBED.includes(kind));
}

/** Rules hold for all patients of the centre. */
export function maySetRules(state: State): boolean {
  return state.session?.role === "supervisor" || state.session?.role === "administrator";
}

export function maySeeFleet(state: State): boolean {
  return maySetRules(state);
}

/** May whoever is signed in change gateways and devices? */
export function mayRunFleet(state: State): boolean {
  return state.session?.role === "administrator";
}

export const WEIGHT: Readonly<Record<Priority, number>> = { high: 3, medium: 2, low: 1 };

/** Order of open alerts: priority, then unacknowledged first, physiological before technical, longest waiting first. */
export function byUrgency(a: Alert, b: Alert): number {
  return (
    WEIGHT[b.priority] - WEIGHT[a.priority] ||
    Number(a.state === "acknowledged") - Number(b.state === "acknowledged") ||
    Number(a.category === "technical") - Number(b.category === "technical") ||
    a.raised - b.raised ||
    (a.id < b.id ? -1 : 1)
  );
}

/** Open means: not resolved. */
export function openAlerts(state: State, patient?: string): Alert[] {
  const open: Alert[] = [];
  for (const alert of state.alerts.values()) {
    if (alert.state !== "resolved" && (patient === undefined || alert.patient === patient)) open.push(alert);
  }
  return open.sort(byUrgency);
}

export function resolvedAlerts(state: State, patient: string): Alert[] {
  return [...state.alerts.values()]
    .filter((alert) => alert.patient === patient && alert.state === "resolved")
    .sort((a, b) => (b.resolved ?? b.raised) - (a.resolved ?? a.raised));
}

export type Group = "waiting" | "taken" | "calm";

export interface Row {
  /** There may be no twin yet: the alert is shown all the same. */
  readonly patient: string;
  /** Open alerts, most urgent first. */
  readonly alerts: readonly Alert[];
  readonly group: Group;
}

export function worklist(state: State): Row[] {
  const open = new Map<string, Alert[]>();
  for (const alert of openAlerts(state)) {
    const list = open.get(alert.patient);
    if (list) list.push(alert);
    else open.set(alert.patient, [alert]);
  }
  const patients = new Set([...state.twins.keys(), ...open.keys()]);
  const rows = [...patients].map((patient): Row => {
    const alerts = open.get(patient) ?? [];
    return {
      patient,
      alerts,
      // One alert that nobody took notice of is enough, also below a more urgent one that somebody did.
      group: alerts.length === 0 ? "calm" : alerts.some((alert) => alert.state === "active") ? "waiting" : "taken",
    };
  });
  return rows.sort((a, b) => compareRows(a, b) || byName(displayName(state, a.patient), displayName(state, b.patient)) || (a.patient < b.patient ? -1 : 1));
}

const byName = new Intl.Collator(undefined, { numeric: true }).compare;

/** `worklist` for who asks again and again: the same rows, the same object, while nothing about their order changed. */
export function worklistMemo(): (state: State) => readonly Row[] {
  let last: { state: State; rows: readonly Row[] } | null = null;
  return (state) => {
    const same = last !== null && last.state.alerts === state.alerts && last.state.names === state.names && last.state.roster === state.roster;
    if (!same) last = { state, rows: worklist(state) };
    return last!.rows;
  };
}

/** A name where there is one, else the pseudonym. */
export function displayName(state: State, patient: string): string {
  return state.names.get(patient) ?? patient;
}

/** By the most urgent alert; patients without one are equal, and stand by name, so that calm rows do not move. */
function compareRows(a: Row, b: Row): number {
  const [x, y] = [a.alerts[0], b.alerts[0]];
  if (x && y) return byUrgency(x, y);
  return Number(y !== undefined) - Number(x !== undefined);
}

/** Open alerts that nobody acknowledged yet, by priority. */
export function unacknowledged(state: State): Record<Priority, number> {
  const counts = { high: 0, medium: 0, low: 0 };
  for (const alert of state.alerts.values()) if (alert.state === "active") counts[alert.priority] += 1;
  return counts;
}

export function channelOf(twin: Twin | null, kind: Kind): Channel | null {
  return twin?.channels.find((channel) => channel.kind === kind) ?? null;
}

export function forecastOf(twin: Twin | null, kind: Kind): Forecast | null {
  return twin?.forecasts.find((forecast) => forecast.kind === kind) ?? null;
}

export interface Crossing {
  readonly kind: Kind;
  readonly threshold: number;
  readonly falling: boolean;
  /** When; null if the latest value is beyond the threshold already. */
  readonly at: number | null;
}

/** What a forecast says about its threshold; null if it stays on the good side. */
export function crossing(twin: Twin, forecast: Forecast): Crossing | null {
  const { crosses, threshold, kind } = forecast;
  if (threshold === null) return null;
  const falling = BAD_BELOW.includes(kind);
  const value = channelOf(twin, kind)?.value ?? null;
  const already = value !== null && (falling ? value < threshold : value > threshold);
  if (crosses === null && !already) return null;
  return { kind, threshold, falling, at: already ? null : crosses };
}

/** The crossing that comes first; what is beyond its threshold already comes before all. */
export function firstCrossing(twin: Twin | null): Crossing | null {
  let first: Crossing | null = null;
  for (const forecast of twin?.forecasts ?? []) {
    const found = twin && crossing(twin, forecast);
    if (found && (first === null || (found.at ?? 0) < (first.at ?? 0))) first = found;
  }
  return first;
}

export function news2(twin: Twin | null): Score | null {
  return twin?.scores.find((score) => score.name === "news2") ?? null;
}

/** The vital that tells most about why this patient stands here: what the top alert rests on, what is foreseen to cross, else the first usual one there is. */
export function keyVital(twin: Twin | null, alerts: readonly Alert[]): Kind | null {
  const there = (kind: Kind) => channelOf(twin, kind) !== null;
  for (const alert of alerts) {
    if (alert.category !== "physiological") continue;
    const evidence = [...alert.evidence].sort((a, b) => b.contribution - a.contribution);
    for (const { kind } of evidence) {
      const shown = kind === RR_INTERVAL ? HEART_RATE : kind;
      if (there(shown)) return shown;
    }
  }
  const foreseen = firstCrossing(twin);
  if (foreseen && there(foreseen.kind)) return foreseen.kind;
  const valued = KEY_ORDER.find((kind) => channelOf(twin, kind)?.value != null);
  return valued ?? KEY_ORDER.find(there) ?? null;
}

function saysSomethingOfTheBody(channel: Channel): boolean {
  return channel.value !== null && !NOT_BODY.includes(channel.kind);
}

/** Effective time of the newest number about the body; null when there is none. A sensor that says "not worn" says nothing of the body. */
export function lastData(twin: Twin | null): number | null {
  const times = (twin?.channels ?? []).filter(saysSomethingOfTheBody).map((channel) => channel.effective);
  return times.length === 0 ? null : Math.max(...times);
}

/** Stale by the centre's word, by its own age, or because the line to the centre is down. */
export function isStale(channel: Channel, now: number, lineDown: boolean): boolean {
  return lineDown || channel.stale || (channel.freshFor > 0 && now - channel.effective > channel.freshFor);
}

/** True if every number about the body is stale, or there is none. */
export function allStale(twin: Twin | null, now: number, lineDown: boolean): boolean {
  return (twin?.channels ?? []).filter(saysSomethingOfTheBody).every((channel) => isStale(channel, now, lineDown));
}

export type Health = "live" | "connecting" | "down";

/** A line that is only just reconnecting is not yet called down. */
const GRACE = 3000;

/** The worse of both streams, at local time `local`. */
export function health(state: State, local: number): Health {
  const links = [state.links.twins, state.links.alerts];
  if (links.every((link) => link.phase === "live")) return "live";
  const failed = links.some((link) => link.attempt > 0 && (link.attempt > 1 || local - link.since > GRACE));
  return failed || links.some((link) => link.phase === "ended") ? "down" : "connecting";
}

export interface Announcement {
  readonly alert: Alert;
  /** Only high priority may interrupt a screen reader. */
  readonly assertive: boolean;
}

/** What became active or more urgent between two states, most urgent first. The first snapshot is not news. */
export function announcements(before: State, after: State): Announcement[] {
  if (!before.complete.alerts || before.alerts === after.alerts) return [];
  const fresh: Alert[] = [];
  for (const alert of after.alerts.values()) {
    // What a person silenced is shown and not said, until it is heard again.
    if (alert.state === "resolved" || alert.snoozedUntil !== null) continue;
    const known = before.alerts.get(alert.id);
    const waits = alert.state === "active" && (known?.state !== "active" || known.snoozedUntil !== null);
    // Said whatever somebody acknowledged before: that was something less urgent.
    const worse = known !== undefined && WEIGHT[alert.priority] > WEIGHT[known.priority];
    if (waits || worse) fresh.push(alert);
  }
  return fresh.sort(byUrgency).map((alert) => ({ alert, assertive: alert.priority === "high" }));
}
