// The only file that names Connect. Calls and streams of the contract, by gRPC-web to where the page came from.

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import * as convert from "./convert.ts";
import type { TeamFilters } from "./filter.ts";
import { AlertService, Duty, type AlertEvent } from "./gen/v1/alert_pb.ts";
import { ContextService } from "./gen/v1/context_pb.ts";
import { FleetService } from "./gen/v1/fleet_pb.ts";
import { HistoryService, Resolution } from "./gen/v1/history_pb.ts";
import { OperatorService } from "./gen/v1/operator_pb.ts";
import { Collection } from "./gen/v1/uplink_pb.ts";
import { TwinService, type Lookers, type TwinEvent } from "./gen/v1/twin_pb.ts";
import type { Access, Alert, Coverage, Fleet, GatewayPast, HistorySlice, Kind, OwnRecord, PatientFact, Roster, RuleBook, RuleSet, Scoreboard, Session, Trial, Turn, WaveBlock } from "./model.ts";
import type { Action } from "./store.ts";
import { grain, type PastQuery } from "./trends.ts";
import { keepOpen, type Link } from "./stream.ts";

const transport = createGrpcWebTransport({ baseUrl: window.location.origin });
const twins = createClient(TwinService, transport);
const alerts = createClient(AlertService, transport);
const history = createClient(HistoryService, transport);
const context = createClient(ContextService, transport);
const operator = createClient(OperatorService, transport);
const gateways = createClient(FleetService, transport);

/** Longest wait for an answer that is not a stream. */
const CALL_LIMIT = 20_000;

/** `active`: the person did something since the last time. Null when nobody is signed in. Throws when the centre cannot be reached. */
export async function session(active: boolean): Promise<{ session: Session; roundTrip: number; answered: number } | null> {
  const asked = performance.now();
  const answer = await fetch("/session", {
    // Somebody was there since the last time: else the centre locks the session after a while.
    headers: { accept: "application/json", ...(active ? { "x-vitaltwin-active": "1" } : {}) },
    cache: "no-store",
    credentials: "same-origin",
    signal: AbortSignal.timeout(CALL_LIMIT),
  });
  const answered = performance.now();
  if (answer.status === 401 || answer.status === 403) return null;
  if (!answer.ok) throw new Error(`session: ${answer.status}`);
  return { session: convert.session(await answer.json()), roundTrip: answered - asked, answered };
}

/** Display names by patient, of those who have one. Who may not ask gets none: pseudonyms are shown then. */
export async function names(): Promise<Map<string, string>> {
  try {
    const { patients } = await operator.listPatients({}, { timeoutMs: CALL_LIMIT });
    return new Map(patients.filter((p) => p.displayName !== "").map((p) => [p.patient, p.displayName]));
  } catch {
    return new Map();
  }
}

/** A patient's own record, at their own page. */
export async function own(): Promise<OwnRecord> {
  const { patients } = await operator.listPatients({}, { timeoutMs: CALL_LIMIT });
  const [of] = patients;
  if (!of) throw new Error("no patient");
  const sharing = of.collection === Collection.PAUSED ? "paused" : of.collection === Collection.WITHDRAWN ? "withdrawn" : "given";
  return { patient: of.patient, name: of.displayName, sharing, since: Number(of.collectionSinceUs) / 1000, teams: of.teams, platforms: of.platforms.map(convert.platform) };
}

/** Filters that teams keep. */
export async function teamFilters(): Promise<TeamFilters> {
  return convert.teamFilters(await operator.listTeamFilters({}, { timeoutMs: CALL_LIMIT }));
}

/** Keeps one; without facets the team forgets it. With all of them as they are then. */
export async function keepTeamFilter(team: string, name: string, facets: string[]): Promise<TeamFilters> {
  return convert.teamFilters(await operator.keepTeamFilter({ filter: { team, name, facets } }, { timeoutMs: CALL_LIMIT }));
}

/** Who is on duty in the teams of whoever is signed in. */
export async function rosters(): Promise<Roster[]> {
  return (await operator.listRosters({}, { timeoutMs: CALL_LIMIT })).rosters.map(convert.roster);
}

export async function checkRoster(team: string, document: string): Promise<Roster> {
  return convert.roster(await operator.checkRoster({ team, document }, { timeoutMs: CALL_LIMIT }));
}

export async function setRoster(team: string, document: string): Promise<Roster> {
  return convert.roster(await operator.setRoster({ team, document }, { timeoutMs: CALL_LIMIT }));
}

/** Whoever is signed in has taken over that shift. */
export async function takeOver(team: string, turn: Turn): Promise<Roster> {
  return convert.roster(await operator.takeOver({ team, duty: DUTIES[turn.duty], shiftFromUs: us(turn.from) }, { timeoutMs: CALL_LIMIT }));
}

/** Who looked at what of a patient, newest first. */
export async function accesses(patient: string): Promise<Access[]> {
  return (await history.listAccesses({ patient }, { timeoutMs: CALL_LIMIT })).accesses.map(convert.access);
}

const DUTIES = { nurse: Duty.NURSE, doctor: Duty.DOCTOR, supervisor: Duty.SUPERVISOR };
const SHARING = { given: Collection.GIVEN, paused: Collection.PAUSED, withdrawn: Collection.WITHDRAWN };

/** Whether the devices are read, from now on; `erase`: what gateways have not delivered is deleted there. */
export async function setSharing(patient: string, sharing: OwnRecord["sharing"], erase: boolean): Promise<void> {
  await operator.setCollection({ patient, collection: SHARING[sharing], eraseUnsent: erase }, { timeoutMs: CALL_LIMIT });
}

/** Writes down that what is shown of a patient is put on paper. */
export async function notePrint(patient: string): Promise<void> {
  await twins.notePrint({ patient }, { timeoutMs: CALL_LIMIT });
}

/** Whether a telemedicine service may have anything of a patient, by the patient's word. */
export async function setPlatform(patient: string, platform: string, shared: boolean): Promise<void> {
  await operator.setSharing({ patient, platform, shared }, { timeoutMs: CALL_LIMIT });
}

/** How good the models are, for a patient; null: summed up over all. */
export async function scoreboard(patient: string | null): Promise<Scoreboard> {
  const asked = patient === null ? twins.sumScoreboard({}, { timeoutMs: CALL_LIMIT }) : twins.getScoreboard({ patient }, { timeoutMs: CALL_LIMIT });
  return convert.scoreboard(await asked);
}

export async function fleet(): Promise<Fleet> {
  return convert.fleet(await gateways.read({}, { timeoutMs: CALL_LIMIT }));
}

export async function gatewayPast(gateway: string): Promise<GatewayPast | null> {
  return convert.gatewayPast(await gateways.read({ gateway }, { timeoutMs: CALL_LIMIT }));
}

/** A one-time token, the id that the gateway will have, and when the token ends. */
export async function enrol(label: string, seconds: number): Promise<{ token: string; gateway: string; ends: number }> {
  const { token, gateway, expiresUs } = await operator.createToken({ label, validS: seconds }, { timeoutMs: CALL_LIMIT });
  return { token, gateway, ends: Number(expiresUs) / 1000 };
}

export async function assign(patient: string, gateway: string, devices: readonly string[]): Promise<void> {
  await operator.assign({ patient, gateway, devices: [...devices] }, { timeoutMs: CALL_LIMIT });
}

/** The number of the settings. */
export async function configure(gateway: string, settings: string): Promise<number> {
  return Number((await operator.configureGateway({ gateway, settings }, { timeoutMs: CALL_LIMIT })).number);
}

export async function revoke(gateway: string): Promise<void> {
  await operator.revokeGateway({ gateway }, { timeoutMs: CALL_LIMIT });
}

/** Everybody by id, with a name or without. */
export async function people(): Promise<{ patient: string; name: string }[]> {
  const { patients } = await operator.listPatients({}, { timeoutMs: CALL_LIMIT });
  return patients.map(({ patient, displayName }) => ({ patient, name: displayName }));
}

/** A one-time link to a patient's own page. */
export async function pageLink(patient: string): Promise<string> {
  return (await operator.createSignIn({ patient }, { timeoutMs: CALL_LIMIT })).link;
}

/** Every reading that the centre keeps of a patient, as it comes. */
export async function* readings(patient: string): AsyncIterable<HistorySlice> {
  for await (const chunk of history.query({ patient, fromUs: 1n, toUs: us(Date.now()) + 86_400_000_000n }, {})) yield convert.historySlice(chunk);
}

export interface Watcher {
  act(action: Action): void;
  /** An event carried this known time, milliseconds. */
  known(ms: number): void;
  signedOut(): void;
  /** The stream ended because a right did, or whose patients one has: the session says what holds now. */
  rightsChanged(): void;
}

export async function watchTwins(watcher: Watcher, signal: AbortSignal): Promise<void> {
  await keepOpen<TwinEvent>(
    {
      ...common(watcher, (link) => watcher.act({ type: "link", stream: "twins", link })),
      open: (cursor, line, opened) => twins.watch({ cursor }, { signal: line, onHeader: opened }),
      cursor: resumable,
      event: ({ kind, conflated }) => {
        if (kind.case === "snapshot" || kind.case === "change") {
          const twin = convert.twin(kind.value);
          watcher.known(twin.known);
          watcher.act({ type: "twin", twin, snapshot: kind.case === "snapshot", conflated: Number(conflated) });
        } else if (kind.case === "snapshotEnd") watcher.act({ type: "complete", stream: "twins" });
      },
    },
    signal,
  );
}

export async function watchAlerts(watcher: Watcher, signal: AbortSignal): Promise<void> {
  await keepOpen<AlertEvent>(
    {
      ...common(watcher, (link) => watcher.act({ type: "link", stream: "alerts", link })),
      open: (cursor, line, opened) => alerts.watch({ cursor }, { signal: line, onHeader: opened }),
      cursor: resumable,
      event: ({ kind }) => {
        if (kind.case === "snapshot" || kind.case === "change") {
          const alert = convert.alert(kind.value);
          watcher.act({ type: "alert", alert, snapshot: kind.case === "snapshot" });
        } else if (kind.case === "snapshotEnd") watcher.act({ type: "complete", stream: "alerts" });
      },
    },
    signal,
  );
}

/** Tells the others that this patient's page is open (empty: nobody's) until `signal` aborts, and who else looks at whom. */
export async function lookIn(patient: string, told: (lookers: ReadonlyMap<string, readonly string[]>) => void, signal: AbortSignal): Promise<void> {
  await keepOpen<Lookers>(
    {
      ...common({ signedOut: () => {}, rightsChanged: () => {} }, (link) => {
        // Nobody is said to look while it cannot be known.
        if (link.phase === "waiting") told(new Map());
      }),
      open: (_, line, opened) => twins.lookIn({ patient }, { signal: line, onHeader: opened }),
      cursor: () => new Uint8Array(),
      event: ({ lookers }) => told(new Map(lookers.map(({ patient, people }) => [patient, people]))),
    },
    signal,
  );
}

/** Not in the middle of a snapshot: what follows a cut-off snapshot is a whole one. */
function resumable(event: TwinEvent | AlertEvent): Uint8Array {
  return event.kind.case === "snapshot" ? new Uint8Array() : event.cursor;
}

function common(watcher: Pick<Watcher, "signedOut" | "rightsChanged">, link: (link: Link) => void) {
  return {
    link,
    now: () => performance.now(),
    rest,
    random: Math.random,
    wait: waitOrOnline,
    fatal: (error: unknown) => {
      const { code } = ConnectError.from(error);
      if (code === Code.Unauthenticated) watcher.signedOut();
      else if (code === Code.PermissionDenied || code === Code.Aborted) watcher.rightsChanged();
      return code === Code.Unauthenticated;
    },
  };
}

/** A message to oneself: behind what waits already, and at full speed in a hidden tab, where timers rest. */
const turns = new MessageChannel();
const resting: (() => void)[] = [];
turns.port1.onmessage = () => resting.shift()?.();

function rest(): Promise<void> {
  return new Promise((resolve) => {
    resting.push(resolve);
    turns.port2.postMessage(null);
  });
}

function waitOrOnline(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

/** Returns once the act is durable, with the alert as it is then. */
export async function acknowledge(alert: string, note: string): Promise<Alert> {
  return convert.alert(await alerts.acknowledge({ alert, note }, { timeoutMs: CALL_LIMIT }));
}

export async function comment(alert: string, text: string): Promise<Alert> {
  return convert.alert(await alerts.comment({ alert, text }, { timeoutMs: CALL_LIMIT }));
}

/** `owner` empty: nobody's in particular. */
export async function setOwner(alert: string, owner: string): Promise<Alert> {
  return convert.alert(await alerts.setOwner({ alert, owner }, { timeoutMs: CALL_LIMIT }));
}

/** Has that one, who is next, called now. */
export async function escalate(alert: string, duty: "nurse" | "doctor" | "supervisor", text: string): Promise<Alert> {
  return convert.alert(await alerts.escalate({ alert, duty: DUTIES[duty], text }, { timeoutMs: CALL_LIMIT }));
}

/** What follows comes by the streams. */
export async function snooze(patient: string, condition: string, seconds: number, reason: string): Promise<void> {
  await alerts.snooze({ patient, condition, forS: seconds, reason }, { timeoutMs: CALL_LIMIT });
}

export async function endSnooze(patient: string, condition: string): Promise<void> {
  await alerts.endSnooze({ patient, condition }, { timeoutMs: CALL_LIMIT });
}

export async function facts(patient: string): Promise<PatientFact[]> {
  return (await context.get({ patient }, { timeoutMs: CALL_LIMIT })).facts.map(convert.fact);
}

/** Takes one fact, or takes one back; with all facts as they are then. */
export async function recordFact(patient: string, fact: Omit<PatientFact, "recorded" | "recordedBy">): Promise<PatientFact[]> {
  const { value, from, to, ...words } = fact;
  const wire = { ...words, ...(value === null ? {} : { value }), fromUs: us(from), toUs: us(to ?? 0) };
  return (await context.record({ patient, facts: [wire], retract: [] }, { timeoutMs: CALL_LIMIT })).facts.map(convert.fact);
}

export async function retractFact(patient: string, id: string): Promise<PatientFact[]> {
  return (await context.record({ patient, facts: [], retract: [id] }, { timeoutMs: CALL_LIMIT })).facts.map(convert.fact);
}

/** What is in force, what was before, and what was tried last. */
export async function ruleBook(): Promise<RuleBook> {
  return convert.ruleBook(await operator.listRules({}, { timeoutMs: CALL_LIMIT }));
}

export async function checkRules(document: string): Promise<{ hash: string; inForce: boolean }> {
  const { set, inForce } = await operator.checkRules({ document }, { timeoutMs: CALL_LIMIT });
  return { hash: set?.hash ?? "", inForce };
}

/** Takes as long as the recorded days take. */
export async function shadowRules(document: string): Promise<Trial> {
  return convert.trial(await operator.shadowRules({ document }));
}

export async function activateRules(document: string, reason: string): Promise<RuleSet> {
  return convert.ruleSet(await operator.activateRules({ document, reason }, { timeoutMs: CALL_LIMIT }));
}

export async function formerRules(reason: string): Promise<RuleSet> {
  return convert.ruleSet(await operator.activateRules({ reason, back: true }, { timeoutMs: CALL_LIMIT }));
}

function us(ms: number): bigint {
  return BigInt(Math.round(ms * 1000));
}

/** Alerts that are over, newest page first as the centre gives them. */
export async function pastAlerts(patients: string[], most: number): Promise<Alert[]> {
  const answer = await alerts.list({ patients, includeResolved: true, pageSize: most }, { timeoutMs: CALL_LIMIT });
  return answer.alerts.map(convert.alert);
}

/** Past readings in [from, to), milliseconds, handed over as they come. */
export async function past(
  query: PastQuery,
  take: (slice: HistorySlice) => void,
  signal: AbortSignal,
): Promise<void> {
  const request = {
    patient: query.patient,
    kinds: [...query.kinds],
    fromUs: BigInt(Math.floor(query.from * 1000)),
    toUs: BigInt(Math.ceil(query.to * 1000)),
    knownAtUs: us(query.knownAt ?? 0),
    ...{ raw: { maxPoints: query.most }, minute: { resolution: Resolution.MINUTE }, hour: { resolution: Resolution.HOUR } }[grain(query.to - query.from)],
  };
  for await (const chunk of history.query(request, { signal })) take(convert.historySlice(chunk));
}

/** What each moment of [from, to) was, milliseconds. */
export async function coverage(
  query: { patient: string; kinds: readonly Kind[]; from: number; to: number },
  signal: AbortSignal,
): Promise<Coverage[]> {
  const request = {
    patient: query.patient,
    kinds: [...query.kinds],
    fromUs: BigInt(Math.floor(query.from * 1000)),
    toUs: BigInt(Math.ceil(query.to * 1000)),
  };
  return convert.coverage(await history.coverage(request, { signal, timeoutMs: CALL_LIMIT }));
}

/** Waveforms that reach into [from, to), milliseconds, in time order. */
export async function waveforms(patient: string, from: number, to: number, signal: AbortSignal): Promise<WaveBlock[]> {
  const blocks: WaveBlock[] = [];
  const request = { patient, waves: [], fromUs: us(from), toUs: us(to) };
  for await (const chunk of history.waveforms(request, { signal })) blocks.push(...convert.waveBlocks(chunk));
  return blocks.sort((a, b) => a.start - b.start);
}

/** Why a call failed, in the centre's words. */
export function reason(error: unknown): string {
  return ConnectError.from(error).rawMessage;
}
