// A centre made up for the page alone: it serves web/dist under the security headers of the real one and speaks the
// contract by gRPC-web, from descriptors that buf builds of proto/v1. It invents as many patients as a test asks for,
// and does what people do to alerts in memory. It judges nothing: what the real centre does is tested against itself.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "../../aggregator/web");
const require = createRequire(join(WEB, "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { create, createFileRegistry, fromBinary, toBinary } = await load("@bufbuild/protobuf");
const { FileDescriptorSetSchema } = await load("@bufbuild/protobuf/wkt");

const DESCRIPTORS = execFileSync(join(WEB, "node_modules/.bin/buf"), ["build", join(WEB, "../../proto"), "--path", join(WEB, "../../proto/v1"), "-o", "-"]);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, DESCRIPTORS));

// As aggregator/src/serve/page.rs, for plain HTTP on this machine.
const SECURITY = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const HIGH = 3;
const MEDIUM = 2;
const LOW = 1;
const ACTIVE = 1;
const ACKNOWLEDGED = 2;
const RESOLVED = 3;
const MINUTE = 60_000_000n;
const nowUs = () => BigInt(Date.now()) * 1000n;

/** The same numbers each time (mulberry32). */
function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const GIVEN = ["Ada", "Bruno", "Clara", "Deniz", "Elif", "Franz", "Greta", "Hugo", "Ines", "Jonas", "Karim", "Lena", "Mila", "Nils", "Olga", "Paul"];
const FAMILY = ["Berg", "Conrad", "Dietz", "Engel", "Fuchs", "Gruber", "Haas", "Ivanov", "Jung", "Keller", "Lang", "Maurer", "Novak", "Otto", "Peters", "Roth"];

const KINDS = [
  { kind: 1, base: 76, swing: 7, band: [58, 96], freshS: 60 },
  { kind: 5, base: 96, swing: 1.4, band: [93, 99], freshS: 60 },
  { kind: 7, base: 15, swing: 2, band: [11, 20], freshS: 300 },
  { kind: 8, base: 36.8, swing: 0.25, band: [36.2, 37.4], freshS: 3600 },
  { kind: 26, base: 124, swing: 22, band: [82, 168], freshS: 900 },
];
const wave = (of, kind, ms) => of.offset * kind.swing + kind.base + kind.swing * Math.sin(ms / 417_000 + of.phase) + (kind.swing / 4) * Math.sin(ms / 21_000 + of.phase * 3);

/** Of as many bytes on the wire as today's times, and like nothing else. */
const MARK_TIME = 1_234_567_890_123_456n;
const MARK_VALUE = 1.2345678912345e-200;
function varint(value) {
  const bytes = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}
function double(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}
function places(bytes, mark) {
  const found = [];
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) found.push(at);
  return found;
}

const BY_KIND = new Map(KINDS.map((one) => [one.kind, one]));

const CONDITIONS = [
  { condition: "oxygen_saturation_low", kind: 5, limit: 92, value: 87, priority: HIGH, category: 1, summary: "SpO₂ 87 % for 4 min, limit 92 %", plain: "There is too little oxygen in the blood." },
  { condition: "heart_rate_high", kind: 1, limit: 120, value: 131, priority: MEDIUM, category: 1, summary: "Heart rate 131/min at rest for 6 min, limit 120/min", plain: "The heart beats fast although the body rests." },
  { condition: "oxygen_saturation_falling", kind: 5, limit: 92, value: 93, priority: MEDIUM, category: 1, expected: true, summary: "SpO₂ falls by 1.1 % in 10 min and is expected below 92 %", plain: "The oxygen in the blood is going down." },
  { condition: "sensor_off", kind: 1, limit: null, value: null, priority: LOW, category: 2, summary: "The chest strap is not on the body", plain: "The strap was taken off." },
];

/** Every seventh needs a hand, and every hundredth was revoked. */
function madeUpGateway(n, hostile) {
  const id = `g-${String(n).padStart(6, "0")}`;
  const needs = n % 7 === 3 ? [3, 7] : [];
  const clock = { aheadUs: -90_000_000n, gainsPpb: 12_000n };
  const device = (k) => ({
    patient: `p-${String(n + 1).padStart(5, "0")}`, displayName: `Patient ${n} ${hostile}`, address: `C0:00:00:00:${String(n % 100).padStart(2, "0")}:0${k}`,
    name: `Strap ${k} ${hostile}`, model: `H10 ${hostile}`, link: needs.length > 0 ? "lost" : "connected", batteryPercent: needs.length > 0 ? 9 : 80, worn: true, lastReadingUs: nowUs() - 3_000_000n, lastReceiptUs: nowUs() - 2_000_000n, clock, needs: needs.slice(1),
  });
  return {
    status: { gateway: id, label: `Home ${n} ${hostile}`, revoked: n % 100 === 99, connectedBy: "grpc", certificateExpiresUs: nowUs() + 60n * MINUTE, configurationNumber: 40n, configuration: { number: 40n, outcome: 2, running: 40n } },
    needs, ownNeeds: needs.slice(0, 1), agentVersion: `0.1.0${hostile}`, heardUs: nowUs() - 4_000_000n, lastReceiptUs: nowUs() - 5_000_000n, backlogRecords: BigInt(n % 5),
    health: { lookedUs: nowUs() - 5n * MINUTE, findings: hostile === "" ? [] : [{ check: "disk", broken: true, found: hostile, remedy: hostile }] },
    devices: [device(1), device(2)], settings: "heartbeat_s = 60", acts: [{ kind: 3, position: 40n, by: hostile || "Adam", atUs: nowUs(), text: `# ${hostile}` }],
  };
}

/** Starts it on a free port. `share`: how many of the patients have an open alert. */
export async function startCentre({ patients = 24, share = 0.3, seed = 7, everyMs = 1000, testData = true, gateways = 3, hostile = "" } = {}) {
  const random = seeded(seed);
  const people = Array.from({ length: patients }, (_, n) => {
    const id = `p-${String(n + 1).padStart(5, "0")}`;
    const name = `${GIVEN[n % GIVEN.length]} ${FAMILY[Math.floor(n / GIVEN.length) % FAMILY.length]}${n < 256 ? "" : ` ${Math.floor(n / 256) + 1}`}`;
    return { id, name, n, phase: random() * 6.28, offset: random() - 0.5, silentSince: n % 17 === 16 ? nowUs() - 90n * MINUTE : null, facts: [], snoozes: [], alerts: [] };
  });
  const byId = new Map(people.map((of) => [of.id, of]));
  const alerts = new Map();
  let position = 1000n;
  /** As `vitaltwin.v1.Collection` numbers it: given. */
  let sharing = 1;
  /** Whether the patient shares nothing with the platform. */
  let stopped = false;
  /** Who was put on paper, and whether that cannot be written down. */
  const printed = [];
  let unwritten = false;
  /** Nothing is told of the fleet. */
  let silent = false;
  const watchers = { twins: new Set(), alerts: new Set(), looks: new Set() };
  /** Who else looks at whom, as the contract has it. */
  let lookers = [];
  /** What teams keep. */
  let teamFilters = [{ team: "Ward <b>3</b>", name: "Quiet <i>sensors</i>", facets: ["data=stale"], by: "Ada <b>x</b>" }];

  function raise(of, what, agoUs = 0n, more = {}) {
    const raised = nowUs() - agoUs;
    position += 1n;
    const id = `${of.id}.${what.condition}.${alerts.size}`;
    const alert = {
      id, patient: of.id, condition: what.condition, priority: what.priority, category: what.category, state: ACTIVE,
      onsetUs: raised - 2n * MINUTE, raisedUs: raised, summary: what.summary, plainSummary: what.plain, position, testData,
      model: "thresholds/3", modelHash: new Uint8Array([1, 2, 3, 4]), comments: [], calls: [{ atUs: raised, duty: 1 }],
      nextCallUs: what.priority === HIGH ? raised + 3n * MINUTE : 0n, nextDuty: what.priority === LOW ? 0 : 2,
      expectedUs: what.expected ? nowUs() + 18n * MINUTE : undefined, probability: what.expected ? 0.82 : undefined,
      evidence: [
        { kind: what.kind, label: "latest median", value: what.value ?? undefined, limit: what.limit ?? undefined, avoidedAt: what.limit ?? undefined, effectiveUs: raised, contribution: 0.7 },
        { kind: 7, label: "respiratory rate", value: 23, limit: 20, effectiveUs: raised, contribution: 0.3 },
      ],
      ...more,
    };
    alerts.set(id, alert);
    of.alerts.push(alert);
    return alert;
  }
  people.forEach((of, n) => {
    if (random() >= share) return;
    const what = CONDITIONS[n % CONDITIONS.length];
    raise(of, what, BigInt(Math.floor(random() * 50)) * MINUTE + 20_000_000n);
    if (n % 5 === 0) raise(of, CONDITIONS[3], 70n * MINUTE);
  });

  /** What an open alert says is what is measured. */
  const told = (of) => new Map(of.alerts.filter((alert) => alert.state !== RESOLVED && alert.evidence[0].value).map((alert) => [alert.evidence[0].kind, alert.evidence[0].value]));

  function twinOf(of) {
    const now = Date.now();
    const says = told(of);
    const at = of.silentSince ?? BigInt(now) * 1000n;
    const channels = KINDS.filter(({ kind }) => kind !== 26 || of.n % 3 === 0).map((kind) => ({
      kind: kind.kind, value: says.get(kind.kind) ?? Number(wave(of, kind, Number(at / 1000n)).toFixed(kind.kind === 8 ? 1 : 0)), effectiveUs: at, receivedUs: at + 200_000n, source: 1, baseline: kind.base,
      band: { low: kind.band[0], high: kind.band[1] }, count: 500n, stale: of.silentSince !== null, freshForUs: BigInt(kind.freshS) * 1_000_000n,
    }));
    const score = of.n % 7;
    const open = of.alerts.filter((alert) => alert.expectedUs);
    const points = Array.from({ length: 6 }, (_, i) => ({ atUs: BigInt(now + (i + 1) * 300_000) * 1000n, value: 95 - i * 0.8, interval: { low: 93.5 - i, high: 96.5 - i * 0.6 } }));
    return {
      patient: of.id, position: (position += 1n), knownUs: BigInt(now) * 1000n, channels, testData, stateHash: new Uint8Array(16),
      scores: [{ name: "news2", low: score, high: score + (of.silentSince ? 3 : 0), atUs: at, source: "Royal College of Physicians, NEWS2, 2017", parts: [{ name: "respiratory rate", points: 1, value: 21 }, { name: "temperature", missingReason: "not measured" }] }],
      forecasts: [{ kind: 5, madeUs: BigInt(now) * 1000n, points, model: "trend 2", coverageNominal: 0.9, coverageObserved: 0.91, scored: 210n, threshold: 92, crossesUs: open.length > 0 ? BigInt(now + 18 * 60_000) * 1000n : undefined, error: 0.7, persistenceError: 0.9 }],
      devices: [{ source: 1, stream: "aa", name: `Chest strap${of.hostile ?? ""}`, model: `H10${of.hostile ?? ""}`, address: "C0:FF:EE:00:00:01", link: "connected", batteryPercent: 63, contact: true, lastReadingUs: at }],
      gateways: [{ gateway: `gw-${of.n % 40}${of.hostile ?? ""}`, stream: "aa", lastHeartbeatUs: BigInt(now) * 1000n, readingsDecoded: 9000n, readingsApplied: 8990n }],
      snoozes: of.snoozes, influences: of.facts.filter((fact) => fact.kind === 10).map((fact) => ({ fact: fact.id, effect: "NEWS2 scale 2 scores oxygen saturation" })),
      tallies: [{ name: "steps", unit: "1", lastHour: 210n, lastDay: 4312n }],
    };
  }

  /**
   * The bytes of a patient's newest state. Encoding a whole twin takes a third of a millisecond, too long for thousands a
   * second: it is encoded once with marks where times and values stand, and those are written over.
   */
  function renewed(of, schema) {
    const now = BigInt(Date.now()) * 1000n;
    if (of.bytes === undefined || of.alerts.length > 0 || of.facts.length > 0) {
      const twin = twinOf(of);
      twin.knownUs = MARK_TIME;
      twin.channels.forEach((channel) => Object.assign(channel, { effectiveUs: MARK_TIME, receivedUs: MARK_TIME, value: of.alerts.length > 0 ? channel.value : MARK_VALUE }));
      of.bytes = frame(0, toBinary(schema, create(schema, { cursor: new Uint8Array([1]), kind: { case: "change", value: twin } })));
      of.times = places(of.bytes, varint(MARK_TIME));
      of.values = places(of.bytes, double(MARK_VALUE));
      of.shown = twin.channels.map((channel) => BY_KIND.get(channel.kind));
    }
    const bytes = Buffer.from(of.bytes);
    const time = varint(now);
    for (const at of of.times) time.copy(bytes, at);
    of.values.forEach((at, i) => bytes.writeDoubleLE(Math.round(10 * wave(of, of.shown[i], Number(now / 1000n))) / 10, at));
    return bytes;
  }

  const method = (path) => {
    const [, service, name] = path.split("/");
    return registry.getService(service)?.methods.find((one) => one.name === name);
  };
  const frame = (flag, bytes) => {
    const head = Buffer.alloc(5);
    head[0] = flag;
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };
  const send = (answer, schema, value) => answer.write(frame(0, toBinary(schema, create(schema, value))));
  const finish = (answer, status = 0, words = "") => answer.end(frame(0x80, Buffer.from(`grpc-status: ${status}\r\ngrpc-message: ${encodeURIComponent(words)}\r\n`)));

  class Refused extends Error {
    constructor(status, words) {
      super(words);
      this.status = status;
    }
  }
  const find = (id) => {
    const alert = alerts.get(id);
    if (!alert) throw new Refused(5, "no such alert");
    return alert;
  };
  const say = (event) => {
    for (const { answer, schema } of watchers.alerts) send(answer, schema, { cursor: new Uint8Array([1]), kind: event });
  };
  const changed = (alert) => {
    alert.position = position += 1n;
    say({ case: "change", value: alert });
    return alert;
  };
  const silence = (patient, condition, until) => {
    for (const alert of alerts.values()) {
      if (alert.patient !== patient || alert.condition !== condition || alert.state === RESOLVED) continue;
      alert.snoozedUntilUs = until;
      changed(alert);
    }
  };

  const calls = {
    "FleetService/Read": ({ gateway }) => {
      if (silent) throw new Refused(14, "the centre is away");
      const all = Array.from({ length: gateways }, (_, n) => madeUpGateway(n, hostile));
      if (gateway !== "") return { atUs: nowUs(), gateways: all.filter((one) => one.status.gateway === gateway) };
      const hops = ["sensor", "gateway", "broker", "centre", "subscriber", "channel", "person"].map((hop, n) => ({ hop, all: n < 2 ? gateways : 1, silent: n === 1 ? 1 : 0, sinceUs: n === 1 ? nowUs() - 9n * MINUTE : 0n }));
      return { atUs: nowUs(), gateways: all, hops, load: { patients, gateways, connected: gateways, readers: 2, readingsJournaled: nowUs() / 10_000n, refused: {} }, warnings: [hostile].filter((words) => words !== "") };
    },
    "OperatorService/ListPatients": () => ({ patients: people.map((of) => ({ patient: of.id, displayName: of.name, testData, collection: sharing, collectionSinceUs: nowUs(), teams: ["Ward <b>3</b>"], platforms: [{ platform: "Tele <b>North</b>", services: [1, 2, 4], kinds: [5], stopped }] })) }),
    "OperatorService/SetCollection": ({ collection }) => {
      sharing = collection;
      return { collection, sinceUs: nowUs() };
    },
    "OperatorService/SetSharing": ({ shared }) => {
      stopped = !shared;
      return {};
    },
    "OperatorService/ListTeamFilters": () => ({ teams: ["Ward <b>3</b>"], filters: teamFilters }),
    "OperatorService/KeepTeamFilter": ({ filter }) => {
      teamFilters = teamFilters.filter(({ team, name }) => team !== filter.team || name !== filter.name);
      if (filter.facets.length > 0) teamFilters.push({ ...filter, by: "Night nurse" });
      return { teams: ["Ward <b>3</b>"], filters: teamFilters };
    },
    "TwinService/NotePrint": ({ patient }) => {
      if (unwritten) throw new Refused(14, "an operator has to look at status");
      printed.push(patient);
      return {};
    },
    "AlertService/List": () => ({ alerts: [...alerts.values()].slice(0, 200) }),
    "AlertService/Acknowledge": ({ alert, note }) => {
      const found = find(alert);
      Object.assign(found, { state: ACKNOWLEDGED, acknowledgedUs: nowUs(), acknowledgedBy: "Night nurse", acknowledgeNote: note, nextCallUs: 0n });
      return changed(found);
    },
    "AlertService/Comment": ({ alert, text }) => {
      const found = find(alert);
      found.comments.push({ atUs: nowUs(), by: "Night nurse", text });
      return changed(found);
    },
    "AlertService/Escalate": ({ alert, duty, text }) => {
      const found = find(alert);
      if (found.calls.some((call) => call.duty === duty)) return found;
      if (duty !== found.nextDuty) throw new Refused(9, "another one is next");
      found.calls.push({ atUs: nowUs(), duty, by: "Night nurse" });
      if (text !== "") found.comments.push({ atUs: nowUs(), by: "Night nurse", text });
      Object.assign(found, { state: ACTIVE, acknowledgedUs: 0n, acknowledgedBy: "", acknowledgeNote: "", nextDuty: duty < 3 ? duty + 1 : 0, nextCallUs: nowUs() + 3n * MINUTE });
      return changed(found);
    },
    "AlertService/SetOwner": ({ alert, owner }) => changed(Object.assign(find(alert), { owner })),
    "AlertService/Snooze": ({ patient, condition, forS, reason }) => {
      const high = [...alerts.values()].some((one) => one.patient === patient && one.condition === condition && one.state !== RESOLVED && one.priority === HIGH);
      if (high) throw new Refused(9, "nothing silences a condition of high priority");
      const snooze = { condition, by: "Night nurse", reason, sinceUs: nowUs(), untilUs: nowUs() + BigInt(forS) * 1_000_000n };
      const of = byId.get(patient);
      of.snoozes = [...of.snoozes.filter((one) => one.condition !== condition), snooze];
      silence(patient, condition, snooze.untilUs);
      return { snooze };
    },
    "AlertService/EndSnooze": ({ patient, condition }) => {
      const of = byId.get(patient);
      of.snoozes = of.snoozes.filter((one) => one.condition !== condition);
      silence(patient, condition, 0n);
      return {};
    },
    "ContextService/Get": ({ patient }) => ({ facts: byId.get(patient)?.facts ?? [] }),
    "ContextService/Record": ({ patient, facts, retract }) => {
      const of = byId.get(patient);
      const ids = new Set([...facts.map((fact) => fact.id), ...retract]);
      of.facts = [...of.facts.filter((fact) => !ids.has(fact.id)), ...facts.map((fact) => ({ ...fact, recordedBy: "Night nurse", recordedUs: nowUs() }))];
      return { facts: of.facts };
    },
    "HistoryService/ListAccesses": () => ({
      accesses: [
        { by: "Ada <b>x</b>", role: 2, teams: ["Ward <b>3</b>"], part: 4, kinds: [1], named: true, door: 1, fromUs: nowUs(), lastUs: nowUs(), untilUs: nowUs() },
        { by: "platform tele", part: 2, named: false, door: 2, fromUs: nowUs() - 7_200_000_000n, lastUs: nowUs() - 60_000_000n, untilUs: nowUs() },
        { by: "operator olga", part: 8, named: true, door: 3, fromUs: nowUs() - 90_000_000_000n, lastUs: nowUs() - 90_000_000_000n, untilUs: nowUs() },
        ...Array.from({ length: 5 }, (_, n) => ({ by: "Ben", role: 3, part: 1 + n, named: true, door: 1, fromUs: nowUs() - BigInt(n + 2) * 86_400_000_000n, lastUs: nowUs() - BigInt(n + 2) * 86_400_000_000n, untilUs: nowUs() })),
      ],
    }),
    "HistoryService/Coverage": ({ kinds, fromUs, toUs }) => {
      const gap = fromUs + ((toUs - fromUs) * 2n) / 5n;
      const end = gap + (toUs - fromUs) / 12n;
      const stretches = [
        { fromUs, toUs: gap, class: 1 },
        { fromUs: gap, toUs: end, class: 2 },
        { fromUs: end, toUs, class: 1 },
      ];
      const asked = kinds.length > 0 ? kinds : KINDS.map(({ kind }) => kind);
      return { fromUs, toUs, asOfUs: nowUs(), lines: asked.map((kind) => ({ kind, source: 0, stretches })) };
    },
  };

  const streams = {
    "TwinService/LookIn": ({ patient }, answer, schema) => {
      watchers.looks.add({ answer, schema, patient });
      send(answer, schema, { lookers });
    },
    "TwinService/Watch": (request, answer, schema) => {
      for (const of of people) send(answer, schema, { cursor: new Uint8Array([1]), kind: { case: "snapshot", value: twinOf(of) } });
      send(answer, schema, { cursor: new Uint8Array([1]), kind: { case: "snapshotEnd", value: {} } });
      watchers.twins.add({ answer, schema });
    },
    "AlertService/Watch": (request, answer, schema) => {
      for (const alert of alerts.values()) if (alert.state !== RESOLVED) send(answer, schema, { cursor: new Uint8Array([1]), kind: { case: "snapshot", value: alert } });
      send(answer, schema, { cursor: new Uint8Array([1]), kind: { case: "snapshotEnd", value: {} } });
      watchers.alerts.add({ answer, schema });
    },
    "HistoryService/Query": ({ patient, kinds, fromUs, toUs, maxPoints, resolution, knownAtUs }, answer, schema) => {
      const of = byId.get(patient);
      const known = knownAtUs > 0n ? knownAtUs : nowUs();
      const from = Number(fromUs / 1000n);
      const to = Number((toUs < known ? toUs : known) / 1000n);
      for (const kind of KINDS.filter((one) => kinds.length === 0 || kinds.includes(one.kind))) {
        if (!of || (kind.kind === 26 && of.n % 3 !== 0)) continue;
        const step = resolution === 3 ? 3_600_000 : resolution === 2 ? 60_000 : Math.max(5000, (to - from) / (maxPoints || 240));
        const times = [];
        for (let at = Math.ceil(from / step) * step; at < to; at += step) times.push(at);
        const value = times.map((at) => wave(of, kind, at));
        const chunk = { kind: kind.kind, source: 1, stream: "aa", effectiveUs: times.map((at) => BigInt(Math.round(at)) * 1000n), value, quality: times.map(() => 0) };
        if (resolution > 1) Object.assign(chunk, { low: value.map((v) => v - kind.swing), high: value.map((v) => v + kind.swing), count: times.map(() => 60), leftOut: times.map(() => 0) });
        send(answer, schema, chunk);
      }
      finish(answer);
    },
    "HistoryService/Waveforms": ({ patient, fromUs, toUs }, answer, schema) => {
      const rate = 130;
      const blocks = [];
      for (let start = fromUs; start < toUs; start += 1_000_000n) {
        let before = 0;
        const numberDelta = Array.from({ length: rate }, (_, i) => {
          const beat = ((Number(start / 1000n) + (i * 1000) / rate) % 800) / 800;
          const bump = (centre, width, height) => height * Math.exp(-(((beat - centre) / width) ** 2));
          const value = Math.round(1000 * (bump(0.2, 0.03, 0.12) - bump(0.34, 0.01, 0.15) + bump(0.36, 0.012, 1.1) - bump(0.385, 0.012, 0.25) + bump(0.6, 0.05, 0.28)));
          const delta = value - before;
          before = value;
          return BigInt(delta);
        });
        blocks.push({ wave: 1, startUs: start, rateMillihertz: rate * 1000, channels: 1, stepMantissa: 1, stepExponent: 0, numberDelta, sequence: start });
      }
      if (byId.get(patient)?.n % 2 === 0) send(answer, schema, { source: 1, blocks });
      finish(answer);
    },
  };

  async function body(request) {
    const parts = [];
    for await (const part of request) parts.push(part);
    return Buffer.concat(parts);
  }

  async function answerCall(request, answer) {
    const found = method(request.url);
    const name = request.url.slice("/vitaltwin.v1.".length);
    answer.writeHead(200, { ...SECURITY, "content-type": "application/grpc-web+proto" });
    if (!found || !(calls[name] ?? streams[name])) return finish(answer, 12, "not made up here");
    const message = fromBinary(found.input, (await body(request)).subarray(5));
    try {
      if (streams[name]) return streams[name](message, answer, found.output);
      send(answer, found.output, calls[name](message));
      finish(answer);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      finish(answer, error.status, error.message);
    }
  }

  /** What the page said last about whether somebody was there. */
  let active = null;
  /** What the session says besides: of a locked screen, or of another role. */
  let more = {};
  const server = createServer((request, answer) => {
    const path = new URL(request.url, "http://x").pathname;
    if (path.startsWith("/vitaltwin.v1.")) return void answerCall(request, answer);
    if (path === "/session") {
      active = request.headers["x-vitaltwin-active"] === "1";
      answer.writeHead(200, { ...SECURITY, "content-type": "application/json" });
      return answer.end(JSON.stringify({ person: "Night nurse", now_us: Number(nowUs()), rate: 1, test_clock: "", ca_fingerprint: "made up", test_data: testData, ...more }));
    }
    if (path === "/ways") {
      answer.writeHead(200, { ...SECURITY, "content-type": "application/json" });
      return answer.end(JSON.stringify({ password: false, provider: null }));
    }
    const file = path === "/" ? "index.html" : path.slice(1);
    try {
      const bytes = readFileSync(join(WEB, "dist", file.replaceAll("..", "")));
      answer.writeHead(200, { ...SECURITY, "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
      answer.end(bytes);
    } catch {
      answer.writeHead(404, SECURITY).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  let sent = 0;
  const ticking = setInterval(() => {
    for (const watcher of watchers.twins) if (watcher.answer.destroyed) watchers.twins.delete(watcher);
    for (const watcher of watchers.alerts) if (watcher.answer.destroyed) watchers.alerts.delete(watcher);
    for (const watcher of watchers.looks) if (watcher.answer.destroyed) watchers.looks.delete(watcher);
    for (const of of people) {
      if (of.silentSince !== null) continue;
      const [{ schema } = {}] = watchers.twins;
      if (!schema) break;
      const bytes = renewed(of, schema);
      for (const { answer } of watchers.twins) {
        sent += 1;
        answer.write(bytes);
      }
    }
  }, everyMs);

  return {
    /** The screen locks while so many alerts ring, of each priority; null: it is open again. */
    lock(ringing) {
      more = ringing === null ? {} : { locked: true, ringing };
    },
    /** What the page says from now on about whether somebody is there; null: nothing yet. */
    get active() {
      return active;
    },
    forgetActive() {
      active = null;
    },
    /** Whoever is signed in has this role. */
    as(role) {
      more = { role };
    },
    /** Whether the fleet cannot be asked for. */
    hush(on) {
      silent = on;
    },
    /** These look from now on: patient and names. */
    look(now) {
      lookers = now;
      for (const { answer, schema } of watchers.looks) if (!answer.destroyed) send(answer, schema, { lookers });
    },
    /** What teams keep, as the contract has it. */
    get teamFilters() {
      return teamFilters;
    },
    /** Whose page is open here, as the page told it last. */
    get open() {
      return [...watchers.looks].filter(({ answer }) => !answer.destroyed).map(({ patient }) => patient);
    },
    /** Who was put on paper. */
    printed,
    /** Whether nothing can be written down. */
    writeNothing(on) {
      unwritten = on;
    },
    /** Whether the patient shares nothing with the platform. */
    get stopped() {
      return stopped;
    },
    /** What was asked for about the sharing of a patient's data. */
    get sharing() {
      return sharing;
    },
    url: `http://127.0.0.1:${server.address().port}`,
    people,
    alerts,
    get sent() {
      return sent;
    },
    raise: (n, condition, more) => {
      const what = CONDITIONS.find((one) => one.condition === condition);
      const alert = raise(people[n], what, 0n, more);
      say({ case: "change", value: alert });
      return alert;
    },
    resolve: (id) => changed(Object.assign(find(id), { state: RESOLVED, resolvedUs: nowUs() })),
    /** Cuts the open streams, as a broken line does. */
    cut: () => {
      for (const { answer } of [...watchers.twins, ...watchers.alerts, ...watchers.looks]) answer.destroy();
    },
    stop: () => {
      clearInterval(ticking);
      server.closeAllConnections();
      server.close();
    },
  };
}

// `node centre.mjs [PATIENTS]`: to look at the page by hand.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const centre = await startCentre({ patients: Number(process.argv[2] ?? 24) });
  console.log(centre.url);
}
