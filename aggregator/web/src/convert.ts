// Generated messages to the page's own words. Total: an enum number of a newer centre becomes the most
// cautious known value, never an exception, because a row must not vanish over one unknown field.

import type * as wire from "./gen/v1/alert_pb.ts";
import { AlertState as WireState, Category as WireCategory, Duty as WireDuty, Priority as WirePriority } from "./gen/v1/alert_pb.ts";
import type * as contextWire from "./gen/v1/context_pb.ts";
import type * as filterWire from "./gen/v1/filter_pb.ts";
import type * as fleetWire from "./gen/v1/fleet_pb.ts";
import type { Access as WireAccess, CoverageResponse, HistoryChunk, WaveformChunk } from "./gen/v1/history_pb.ts";
import type { PlatformShare as WireShare } from "./gen/v1/platform_pb.ts";
import type * as rosterWire from "./gen/v1/roster_pb.ts";
import type * as rulesWire from "./gen/v1/rules_pb.ts";
import type * as scoreWire from "./gen/v1/scoreboard_pb.ts";
import type * as twinWire from "./gen/v1/twin_pb.ts";
import { Standing as WireStanding } from "./gen/v1/twin_pb.ts";
import { ofFacets, type TeamFilters } from "./filter.ts";
import { ACCESS_PARTS, COVERAGE_CLASSES, GATEWAY_ACTS, NEEDS, OUTCOMES, PLATFORM_SERVICES } from "./model.ts";
import type {
  Access,
  Alert,
  AlertState,
  Category,
  Channel,
  Coverage,
  Device,
  Duty,
  Roster,
  Turn,
  Evidence,
  Fleet,
  FleetDevice,
  FleetGateway,
  Forecast,
  Gateway,
  GatewayPast,
  Need,
  HistorySlice,
  PatientFact,
  PlatformShare,
  Priority,
  RuleBook,
  RuleSet,
  Trial,
  Role,
  Score,
  Session,
  Snooze,
  Twin,
  WaveBlock,
  Scoreboard,
  Standing,
} from "./model.ts";

const ROLES: readonly Role[] = ["viewer", "nurse", "doctor", "supervisor", "administrator", "patient"];

/** Numbers of `vitaltwin.v1.StaffRole` begin with one that nobody has. */
export function access(of: WireAccess): Access {
  const [first = "", ...rest] = of.by.split(" ");
  const is = (first === "operator" || first === "platform") && rest.length > 0 ? first : "person";
  return {
    by: is === "person" ? of.by : rest.join(" "),
    is,
    role: is === "person" ? (ROLES[of.role - 1] ?? "") : "",
    teams: of.teams,
    part: ACCESS_PARTS[of.part] ?? "something",
    kinds: of.kinds,
    named: of.named,
    from: ms(of.fromUs),
    last: ms(of.lastUs),
  };
}

/** What a telemedicine service was given of a patient. A service of a newer centre is not named: this page has no words for it. */
export function platform(of: WireShare): PlatformShare {
  const services = of.services.map((number) => PLATFORM_SERVICES[number - 1]);
  return { platform: of.platform, services: services.filter((service) => service !== undefined), kinds: of.kinds, stopped: of.stopped };
}

function ms(us: bigint): number {
  return Number(us) / 1000;
}

/** For times where 0 means "not yet" or "not known". */
function msOrNull(us: bigint | undefined): number | null {
  return us === undefined || us === 0n ? null : ms(us);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function priority(value: WirePriority): Priority {
  if (value === WirePriority.LOW) return "low";
  if (value === WirePriority.MEDIUM) return "medium";
  return "high";
}

function category(value: WireCategory): Category {
  return value === WireCategory.TECHNICAL ? "technical" : "physiological";
}

function alertState(value: WireState): AlertState {
  if (value === WireState.RESOLVED) return "resolved";
  if (value === WireState.ACKNOWLEDGED) return "acknowledged";
  return "active";
}

function duty(value: WireDuty): Duty {
  if (value === WireDuty.DOCTOR) return "doctor";
  if (value === WireDuty.SUPERVISOR) return "supervisor";
  return "nurse";
}

function evidence(from: wire.Evidence): Evidence {
  return {
    kind: from.kind,
    label: from.label,
    value: from.value ?? null,
    limit: from.limit ?? null,
    avoidedAt: from.avoidedAt ?? null,
    effective: ms(from.effectiveUs),
    quality: from.quality,
    contribution: from.contribution,
    known: from.known,
  };
}

export function alert(from: wire.Alert): Alert {
  return {
    id: from.id,
    patient: from.patient,
    condition: from.condition,
    priority: priority(from.priority),
    category: category(from.category),
    state: alertState(from.state),
    onset: msOrNull(from.onsetUs),
    raised: ms(from.raisedUs),
    acknowledged: msOrNull(from.acknowledgedUs),
    acknowledgedBy: from.acknowledgedBy,
    acknowledgeNote: from.acknowledgeNote,
    resolved: msOrNull(from.resolvedUs),
    summary: from.summary,
    plainSummary: from.plainSummary,
    evidence: from.evidence.map(evidence),
    model: from.model,
    modelHash: hex(from.modelHash),
    expected: msOrNull(from.expectedUs),
    probability: from.probability ?? null,
    subject: from.subject,
    testData: from.testData,
    position: from.position,
    retrospective: from.retrospective,
    calls: from.calls.map((call) => ({ at: ms(call.atUs), duty: duty(call.duty), by: call.by })),
    nextCall: msOrNull(from.nextCallUs),
    nextDuty: from.nextDuty === WireDuty.UNSPECIFIED ? null : duty(from.nextDuty),
    unanswered: msOrNull(from.unansweredUs),
    snoozedUntil: msOrNull(from.snoozedUntilUs),
    partOf: from.partOf,
    owner: from.owner,
    comments: from.comments.map((comment) => ({ at: ms(comment.atUs), by: comment.by, text: comment.text })),
    withdrawn: from.withdrawnUs === 0n ? null : { at: ms(from.withdrawnUs), by: from.withdrawnBy, reason: from.withdrawnReason },
  };
}

export function snooze(from: wire.Snooze): Snooze {
  return { condition: from.condition, by: from.by, reason: from.reason, since: ms(from.sinceUs), until: ms(from.untilUs) };
}

function channel(from: twinWire.Channel): Channel {
  return {
    kind: from.kind,
    value: from.value ?? null,
    absence: from.absence,
    effective: ms(from.effectiveUs),
    received: ms(from.receivedUs),
    source: from.source,
    quality: from.quality,
    baseline: from.baseline ?? null,
    band: from.band ? { low: from.band.low, high: from.band.high } : null,
    count: Number(from.count),
    stale: from.stale,
    freshFor: ms(from.freshForUs),
    disagreement: from.disagreement ? { value: from.disagreement.value, since: ms(from.disagreement.sinceUs) } : null,
  };
}

function score(from: twinWire.Score): Score {
  return {
    name: from.name,
    low: from.low,
    high: from.high,
    parts: from.parts.map((part) => ({
      name: part.name,
      points: part.points ?? null,
      value: part.value ?? null,
      missingReason: part.missingReason,
    })),
    at: ms(from.atUs),
    source: from.source,
  };
}

function forecast(from: twinWire.Forecast): Forecast {
  return {
    kind: from.kind,
    made: ms(from.madeUs),
    points: from.points.map((point) => ({
      at: ms(point.atUs),
      value: point.value,
      low: point.interval?.low ?? null,
      high: point.interval?.high ?? null,
    })),
    abstained: from.abstained,
    model: from.model,
    coverageNominal: from.coverageNominal,
    coverageObserved: from.coverageObserved ?? null,
    scored: Number(from.scored),
    unfit: from.unfitS,
    crosses: msOrNull(from.crossesUs),
    threshold: from.threshold ?? null,
    error: from.error ?? null,
    persistenceError: from.persistenceError ?? null,
  };
}

function device(from: twinWire.DeviceState): Device {
  return {
    source: from.source,
    stream: from.stream,
    name: from.name,
    model: from.model,
    address: from.address,
    link: from.link,
    since: msOrNull(from.sinceUs),
    battery: from.batteryPercent ?? null,
    contact: from.contact ?? null,
    lastReading: msOrNull(from.lastReadingUs),
  };
}

function gateway(from: twinWire.GatewayState): Gateway {
  return {
    gateway: from.gateway,
    stream: from.stream,
    lastHeartbeat: msOrNull(from.lastHeartbeatUs),
    silent: from.silent,
    bufferRecords: Number(from.bufferRecords),
    decoded: Number(from.readingsDecoded),
    applied: Number(from.readingsApplied),
    duplicated: Number(from.readingsDuplicated),
    declaredLost: Number(from.readingsDeclaredLost),
    quarantined: Number(from.readingsQuarantined),
  };
}

export function twin(from: twinWire.Twin): Twin {
  return {
    patient: from.patient,
    position: from.position,
    known: ms(from.knownUs),
    channels: from.channels.map(channel),
    scores: from.scores.map(score),
    forecasts: from.forecasts.map(forecast),
    alerts: from.alerts.map(alert),
    devices: from.devices.map(device),
    gateways: from.gateways.map(gateway),
    testData: from.testData,
    stateHash: hex(from.stateHash),
    rhythm: from.rhythm
      ? {
          finding: from.rhythm.finding,
          entropy: from.rhythm.entropy ?? null,
          cut: from.rhythm.cut,
          beats: from.rhythm.beats,
          source: from.rhythm.source,
        }
      : null,
    tallies: from.tallies.map((tally) => ({ name: tally.name, lastHour: Number(tally.lastHour), lastDay: Number(tally.lastDay) })),
    snoozes: from.snoozes.map(snooze),
    influences: from.influences.map(({ fact, effect }) => ({ fact, effect })),
    models: from.models.map(({ condition, model, standing, why, unsaid }) => ({ condition, model, standing: standingOf(standing), why, unsaid })),
  };
}

/** One that this page does not know is one that does not speak. */
function standingOf(value: WireStanding): Standing {
  if (value === WireStanding.LIVE) return "live";
  return value === WireStanding.SHADOW ? "shadow" : "off";
}

export function scoreboard(from: scoreWire.Scoreboard): Scoreboard {
  return {
    patients: Number(from.patients),
    forecasts: from.forecasts.map((of) => ({
      kind: of.kind,
      model: of.model,
      nominal: of.nominal,
      abstained: of.abstained.map(({ reason, times }) => ({ reason, times: Number(times) })),
      horizons: of.horizons.map((one) => ({
        ahead: one.aheadS,
        due: Number(one.due),
        scored: Number(one.scored),
        covered: Number(one.covered),
        error: one.error ?? null,
        persistenceError: one.persistenceError ?? null,
        unfit: Number(one.unfit),
      })),
    })),
    alerts: from.alerts.map((of) => ({
      model: of.model,
      condition: of.condition,
      absent: of.absent,
      event: of.event,
      within: of.withinS * 1000,
      told: Number(of.told),
      right: Number(of.right),
      late: Number(of.late),
      wrong: Number(of.wrong),
      open: Number(of.unknown) + Number(of.waiting),
      events: Number(of.events),
      missed: Number(of.missed),
      lead:
        of.leadMeanS === undefined
          ? null
          : { mean: of.leadMeanS * 1000, least: (of.leadLeastS ?? 0) * 1000, most: (of.leadMostS ?? 0) * 1000 },
    })),
  };
}

export function historySlice(from: HistoryChunk): HistorySlice {
  const { kind, source, count } = from;
  // Where nothing usable was measured there is no mean.
  const kept = from.effectiveUs.map((_, i) => i).filter((i) => count[i] !== 0);
  return {
    kind,
    source,
    times: kept.map((i) => ms(from.effectiveUs[i]!)),
    values: kept.map((i) => from.value[i]!),
    // The mean of a stretch is over what may be used: its flags tell of what was left out.
    quality: count.length > 0 ? kept.map(() => 0) : from.quality,
    low: count.length > 0 ? kept.map((i) => from.low[i]!) : [],
    high: count.length > 0 ? kept.map((i) => from.high[i]!) : [],
  };
}

export function fact(from: contextWire.Fact): PatientFact {
  return {
    id: from.id,
    kind: from.kind,
    code: from.code,
    label: from.label,
    value: from.value ?? null,
    unit: from.unit,
    text: from.text,
    from: ms(from.fromUs),
    to: msOrNull(from.toUs),
    recordedBy: from.recordedBy,
    recorded: ms(from.recordedUs),
  };
}

/** The first channel of each block (an ECG has one; of acceleration the first axis). */
export function waveBlocks(from: WaveformChunk): WaveBlock[] {
  return from.blocks.map((block) => {
    const channels = Math.max(1, block.channels);
    const step = block.stepMantissa * 10 ** block.stepExponent;
    const samples: number[] = [];
    let number = 0n;
    for (let i = 0; i < block.numberDelta.length; i += channels) {
      number += block.numberDelta[i]!;
      samples.push(Number(number) * step);
    }
    return { wave: block.wave, source: from.source, start: ms(block.startUs), rate: block.rateMillihertz / 1000, samples };
  });
}

/** The lines of all sources together; a class of a newer centre is nothing that was measured. */
export function coverage(from: CoverageResponse): Coverage[] {
  return from.lines
    .filter((line) => line.source === 0)
    .map((line) => ({
      kind: line.kind,
      stretches: line.stretches.map((stretch) => ({
        from: ms(stretch.fromUs),
        to: ms(stretch.toUs),
        what: COVERAGE_CLASSES[stretch.class - 1] ?? "awaited",
        readings: Number(stretch.readings),
      })),
    }));
}

/** From the JSON of GET /session (README.md says what is in it). Unknown and missing fields are fine. */
function count(list: unknown, place: number): number {
  const value: unknown = Array.isArray(list) ? list[place] : undefined;
  return typeof value === "number" ? value : 0;
}

/** A role that this page does not know may look, and the centre refuses what it may not. */
function role(value: unknown): Role {
  if (value === undefined || value === "") return "";
  return ROLES.find((known) => known === value) ?? "viewer";
}

export function session(json: unknown): Session {
  const from = (typeof json === "object" && json !== null ? json : {}) as Record<string, unknown>;
  const text = (name: string) => (typeof from[name] === "string" ? from[name] : "");
  const number = (name: string) => (typeof from[name] === "number" && Number.isFinite(from[name]) ? from[name] : null);
  const now = number("now_us");
  return {
    person: text("person"),
    role: role(from["role"]),
    testClock: text("test_clock"),
    fingerprint: text("ca_fingerprint"),
    testData: from["test_data"] === true,
    now: now === null ? null : now / 1000,
    rate: number("rate"),
    locked: from["locked"] === true,
    ringing: { high: count(from["ringing"], 0), medium: count(from["ringing"], 1), low: count(from["ringing"], 2) },
  };
}

export function ruleSet(from: rulesWire.RuleSet): RuleSet {
  const { hash, document, by, reason } = from;
  return { hash, document, by, reason, since: from.sinceUs === 0n ? null : ms(from.sinceUs) };
}

export function trial(from: rulesWire.ShadowReport): Trial {
  const beside = (count: rulesWire.Count | undefined) => ({ before: count?.before ?? 0, after: count?.after ?? 0 });
  return {
    hash: from.hash,
    from: ms(from.fromUs),
    to: ms(from.toUs),
    patients: from.patients,
    days: from.patientDays,
    alerts: beside(from.alerts),
    night: beside(from.night),
    burdens: from.burdens.map((one) => ({ condition: one.condition, priority: priority(one.priority), ...beside(one.alerts) })),
    missed: from.missed.map((one) => ({ condition: one.condition, priority: priority(one.priority), alerts: one.alerts, acknowledged: one.acknowledged })),
    groups: from.subgroups.map(({ of, group, patients, before, after, change, changeLow: low, changeHigh: high }) => ({ of, group, patients, before, after, change, low, high })),
    refusals: from.refusals,
    quieter: from.quieter,
    silenced: from.silenced.map(({ condition, standing, cohort, by, why, missed, groups, uncounted }) => ({
      condition,
      standing,
      cohort,
      by,
      why,
      uncounted,
      missed: missed.map((one) => ({ priority: priority(one.priority), alerts: one.alerts })),
      groups: groups.map(({ of, group, patients, patientDays: days, alerts }) => ({ of, group, patients, days, alerts })),
    })),
  };
}

export function ruleBook(from: rulesWire.ListRulesResponse): RuleBook {
  return { sets: from.sets.map(ruleSet), trial: from.shadow === undefined ? null : trial(from.shadow) };
}

function turn(from: rosterWire.Turn): Turn {
  const { shift, people, able, handover, leaving, takenBy } = from;
  return {
    duty: duty(from.duty),
    shift,
    from: ms(from.fromUs),
    until: ms(from.untilUs),
    people,
    able,
    handover,
    leaving,
    takenBy,
    taken: from.takenUs === 0n ? null : ms(from.takenUs),
  };
}

export function teamFilters(from: filterWire.TeamFilters): TeamFilters {
  return { teams: from.teams, filters: from.filters.map(({ team, name, facets, by }) => ({ team, name, filter: ofFacets(facets), by })) };
}

export function roster(from: rosterWire.Roster): Roster {
  const { team, document, by, unread, remarks } = from;
  const since = from.sinceUs === 0n ? null : ms(from.sinceUs);
  return { team, document, since, by, unread, remarks, now: from.now.map(turn), next: from.next.map(turn), gaps: from.gaps.map(turn) };
}

function needs(numbers: readonly number[]): Need[] {
  return numbers.map((number) => NEEDS[number] ?? "something");
}

function moment(us: bigint): number | null {
  return us === 0n ? null : ms(us);
}

function fleetDevice(from: fleetWire.FleetDevice): FleetDevice {
  const { patient, displayName, address, name, model, link, clock } = from;
  return {
    patient,
    person: displayName,
    address,
    name,
    model,
    link,
    battery: from.batteryPercent ?? null,
    worn: from.worn ?? null,
    lastReading: moment(from.lastReadingUs),
    lastReceipt: moment(from.lastReceiptUs),
    clock: clock === undefined ? null : { ahead: Number(clock.aheadUs) / 1000, gains: (Number(clock.gainsPpb) / 1e9) * 86_400 },
    needs: needs(from.needs),
  };
}

function fleetGateway(from: fleetWire.FleetGateway): FleetGateway {
  const { status, health } = from;
  const report = status?.configuration;
  return {
    id: status?.gateway ?? "",
    label: status?.label ?? "",
    revoked: status?.revoked ?? false,
    enrolled: (status?.certificateExpiresUs ?? 0n) !== 0n,
    connectedBy: status?.connectedBy ?? "",
    needs: needs(from.needs),
    version: from.agentVersion,
    heard: moment(from.heardUs),
    lastReceipt: moment(from.lastReceiptUs),
    certificateEnds: moment(status?.certificateExpiresUs ?? 0n),
    tokenEnds: moment(from.tokenExpiresUs),
    backlog: Number(from.backlogRecords),
    wanted: Number(status?.configurationNumber ?? 0n),
    running: report?.running === undefined ? null : Number(report.running),
    // What it says of former settings says nothing of those that were sent last.
    outcome: (report?.number === status?.configurationNumber && OUTCOMES[report?.outcome ?? 0]) || "none",
    outcomeDetail: report?.detail ?? "",
    looked: health === undefined ? null : ms(health.lookedUs),
    findings: (health?.findings ?? []).map(({ check, broken, found, remedy }) => ({ check, broken, found, remedy })),
    devices: from.devices.map(fleetDevice),
  };
}

export function fleet(from: fleetWire.Fleet): Fleet {
  const { load } = from;
  return {
    at: ms(from.atUs),
    gateways: from.gateways.map(fleetGateway),
    hops: from.hops.map(({ hop, all, silent, sinceUs }) => ({ hop, all, silent, since: moment(sinceUs) })),
    load: load === undefined ? null : {
      patients: load.patients,
      gateways: load.gateways,
      connected: load.connected,
      readers: load.readers,
      readings: Number(load.readingsJournaled),
      entriesWaiting: Number(load.entriesWaiting),
      recordsWaiting: Number(load.recordsWaiting),
      stopped: load.storeStopped,
      refused: Object.entries(load.refused).map(([why, count]) => [why, Number(count)] as const),
    },
    warnings: from.warnings,
  };
}

/** Null: there is no such gateway any more. */
export function gatewayPast(from: fleetWire.Fleet): GatewayPast | null {
  const [one] = from.gateways;
  if (!one) return null;
  const acts = one.acts.map(({ kind, position, by, atUs, text }) => ({ kind: GATEWAY_ACTS[kind] ?? ("something" as const), number: Number(position), by, at: ms(atUs), text }));
  return { gateway: fleetGateway(one), settings: one.settings, acts };
}
