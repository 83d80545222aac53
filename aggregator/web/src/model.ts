// The page's own words for what the streams carry. Times are milliseconds since the Unix epoch, on the
// centre's clock; fractions of a millisecond are kept.

export type Priority = "high" | "medium" | "low";
export type Category = "physiological" | "technical";
export type AlertState = "active" | "acknowledged" | "resolved";

/** Wire number of `vitaltwin.v1.Kind`; what is known about each is in kinds.ts. */
export type Kind = number;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Evidence {
  readonly kind: Kind;
  readonly label: string;
  readonly value: number | null;
  readonly limit: number | null;
  /** With this value, all else as it was, the alert would not have been told. */
  readonly avoidedAt: number | null;
  readonly effective: number;
  readonly quality: number;
  /** Share of the decision, 0 to 1. */
  readonly contribution: number;
  /** What people know of the patient, and nothing that was measured; `effective` is the time that it is of. */
  readonly known: boolean;
}

export type Duty = "nurse" | "doctor" | "supervisor";

export interface Call {
  readonly at: number;
  readonly duty: Duty;
  /** Who had them called before their time; empty: the ladder did. */
  readonly by: string;
}

/** Somebody said something about an alert. */
export interface Comment {
  readonly at: number;
  readonly by: string;
  readonly text: string;
}

export interface Alert {
  readonly id: string;
  readonly patient: string;
  readonly condition: string;
  readonly priority: Priority;
  readonly category: Category;
  readonly state: AlertState;
  readonly onset: number | null;
  readonly raised: number;
  readonly acknowledged: number | null;
  readonly acknowledgedBy: string;
  readonly acknowledgeNote: string;
  readonly resolved: number | null;
  readonly summary: string;
  readonly plainSummary: string;
  readonly evidence: readonly Evidence[];
  readonly model: string;
  readonly modelHash: string;
  readonly expected: number | null;
  readonly probability: number | null;
  readonly subject: string;
  readonly testData: boolean;
  /** Journal position of the last change, for ordering only. */
  readonly position: bigint;
  readonly retrospective: boolean;
  /** Who was called while nobody took notice, in order. */
  readonly calls: readonly Call[];
  /** When the next one is called. */
  readonly nextCall: number | null;
  /** Who would be called next, by the ladder or by a person; null: nobody is left, or nobody is called. */
  readonly nextDuty: Duty | null;
  /** The last one was called, and nobody took notice. */
  readonly unanswered: number | null;
  /** A person silenced the condition until then. */
  readonly snoozedUntil: number | null;
  /** The alert of the same problem under which it is listed; empty: people are called about it by itself. */
  readonly partOf: string;
  /** Whose affair it is; empty: nobody's in particular. */
  readonly owner: string;
  readonly comments: readonly Comment[];
  /** Readings that it rested on were voided since. */
  readonly withdrawn: { readonly at: number; readonly by: string; readonly reason: string } | null;
}

/** A condition that a person silenced. */
export interface Snooze {
  readonly condition: string;
  readonly by: string;
  readonly reason: string;
  readonly since: number;
  readonly until: number;
}

/** What people know about a patient that no sensor measures. */
export interface PatientFact {
  readonly id: string;
  /** Wire number of `vitaltwin.v1.FactKind`. */
  readonly kind: number;
  readonly code: string;
  readonly label: string;
  readonly value: number | null;
  readonly unit: string;
  readonly text: string;
  readonly from: number;
  readonly to: number | null;
  readonly recordedBy: string;
  readonly recorded: number;
}

/** Samples that follow each other without a gap, of one channel, in the wave's unit. */
export interface WaveBlock {
  /** Wire number of `vitaltwin.v1.Wave`. */
  readonly wave: number;
  readonly source: number;
  readonly start: number;
  /** Samples a second. */
  readonly rate: number;
  readonly samples: readonly number[];
}

export interface Channel {
  readonly kind: Kind;
  readonly value: number | null;
  /** Wire number of `vitaltwin.v1.Absence`; 0 when there is a value or no reason. */
  readonly absence: number;
  readonly effective: number;
  readonly received: number;
  readonly source: number;
  readonly quality: number;
  readonly baseline: number | null;
  readonly band: Interval | null;
  readonly count: number;
  readonly stale: boolean;
  readonly freshFor: number;
  /** What another source of this kind says, where the two have lastingly differed. */
  readonly disagreement: { readonly value: number; readonly since: number } | null;
}

/** What is added up over all sources that count it, none twice. */
export interface Tally {
  readonly name: string;
  readonly lastHour: number;
  readonly lastDay: number;
}

export interface ScorePart {
  readonly name: string;
  readonly points: number | null;
  readonly value: number | null;
  readonly missingReason: string;
}

export interface Score {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly parts: readonly ScorePart[];
  readonly at: number;
  readonly source: string;
}

export interface ForecastPoint {
  readonly at: number;
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Forecast {
  readonly kind: Kind;
  readonly made: number;
  readonly points: readonly ForecastPoint[];
  /** Times ahead, seconds, that are left out of the points. */
  readonly unfit: readonly number[];
  /** Why there are no points; empty when there are. */
  readonly abstained: string;
  readonly model: string;
  readonly coverageNominal: number;
  readonly coverageObserved: number | null;
  readonly scored: number;
  readonly crosses: number | null;
  readonly threshold: number | null;
  readonly error: number | null;
  readonly persistenceError: number | null;
}

export interface Rhythm {
  readonly finding: string;
  readonly entropy: number | null;
  readonly cut: number;
  readonly beats: number;
  readonly source: string;
}

export interface Device {
  readonly source: number;
  readonly stream: string;
  readonly name: string;
  readonly model: string;
  readonly address: string;
  readonly link: string;
  readonly since: number | null;
  readonly battery: number | null;
  readonly contact: boolean | null;
  readonly lastReading: number | null;
}

export interface Gateway {
  readonly gateway: string;
  readonly stream: string;
  readonly lastHeartbeat: number | null;
  readonly silent: boolean;
  readonly bufferRecords: number;
  readonly decoded: number;
  readonly applied: number;
  readonly duplicated: number;
  readonly declaredLost: number;
  readonly quarantined: number;
}

export interface Twin {
  readonly patient: string;
  readonly position: bigint;
  readonly known: number;
  readonly channels: readonly Channel[];
  readonly scores: readonly Score[];
  readonly forecasts: readonly Forecast[];
  readonly alerts: readonly Alert[];
  readonly devices: readonly Device[];
  readonly gateways: readonly Gateway[];
  readonly testData: boolean;
  readonly stateHash: string;
  readonly rhythm: Rhythm | null;
  readonly tallies: readonly Tally[];
  readonly snoozes: readonly Snooze[];
  /** What facts change in rules and models: the fact's id and what follows. */
  readonly influences: readonly { readonly fact: string; readonly effect: string }[];
  /** Models that do not speak of this patient; all others do. */
  readonly models: readonly ModelStanding[];
}

export type Standing = "live" | "shadow" | "off";

export interface ModelStanding {
  /** What it raises. */
  readonly condition: string;
  readonly model: string;
  readonly standing: Standing;
  readonly why: string;
  /** In shadow: how often it would have been told. */
  readonly unsaid: number;
}

/** What a patient's own page knows of the patient besides the twin. */
export interface OwnRecord {
  readonly patient: string;
  readonly name: string;
  readonly sharing: "given" | "paused" | "withdrawn";
  /** Since when it is so. */
  readonly since: number;
  /** Teams that look after them. */
  readonly teams: readonly string[];
  /** Telemedicine services that were given something of them. */
  readonly platforms: readonly PlatformShare[];
}

/** What a telemedicine service may do with what it was given. */
export const PLATFORM_SERVICES = ["values", "alerts", "history", "acknowledge"] as const;

export interface PlatformShare {
  readonly platform: string;
  readonly services: readonly (typeof PLATFORM_SERVICES)[number][];
  /** Empty: all. */
  readonly kinds: readonly Kind[];
  /** The patient said that it gets nothing. */
  readonly stopped: boolean;
}

/** What of a patient somebody was shown. */
export const ACCESS_PARTS = ["something", "values", "alerts", "facts", "readings", "coverage", "waveforms", "names", "past", "copy", "paper"] as const;
export type AccessPart = (typeof ACCESS_PARTS)[number];

/** Somebody was shown something of a patient; what was shown of the same within an hour is in it. */
export interface Access {
  readonly by: string;
  readonly is: "person" | "operator" | "platform";
  /** Empty for who is no person. */
  readonly role: Role;
  readonly teams: readonly string[];
  readonly part: AccessPart;
  /** Empty: of no kind in particular. */
  readonly kinds: readonly Kind[];
  /** Asked for by id; false: as one of a list. */
  readonly named: boolean;
  readonly from: number;
  readonly last: number;
}

/** What somebody does here, as the centre calls it; empty: whatever an operator may. */
export type Role = "viewer" | "nurse" | "doctor" | "supervisor" | "administrator" | "patient" | "";

export interface Session {
  readonly person: string;
  readonly role: Role;
  /** Empty for the system clock. */
  readonly testClock: string;
  readonly fingerprint: string;
  readonly testData: boolean;
  /** Centre's time when it answered; null when it does not say. */
  readonly now: number | null;
  readonly rate: number | null;
  /** Nothing of a patient is shown until the person proves again who they are. */
  readonly locked: boolean;
  /** How many alerts wait; told to a locked screen only. */
  readonly ringing: Readonly<Record<Priority, number>>;
}

/** What a stretch of time was; in the order of `vitaltwin.v1.CoverageClass`. */
export const COVERAGE_CLASSES = [
  "measured",
  "not-worn",
  "sensor-fault",
  "clock-unknown",
  "dropped",
  "lost",
  "out-of-range",
  "gateway-down",
  "awaited",
  "forgotten",
  "withheld",
  "unassigned",
  "removed",
] as const;
export type CoverageClass = (typeof COVERAGE_CLASSES)[number];

export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly what: CoverageClass;
  /** Readings that were declared lost in it; 0 for most. */
  readonly readings: number;
}

/** A kind over a window, all sources together: each stretch begins where the one before ends. */
export interface Coverage {
  readonly kind: Kind;
  readonly stretches: readonly Stretch[];
}

/** Readings of one kind from one source. */
export interface HistorySlice {
  readonly kind: Kind;
  readonly source: number;
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly quality: readonly number[];
  /** Extremes of each stretch; empty for single readings. A stretch without a usable reading is left out. */
  readonly low: readonly number[];
  readonly high: readonly number[];
}

/** How good the models are, for one patient or summed up over all. */
export interface Scoreboard {
  readonly patients: number;
  readonly forecasts: readonly ForecastScore[];
  readonly alerts: readonly AlertScore[];
}

export interface ForecastScore {
  readonly kind: Kind;
  readonly model: string;
  readonly nominal: number;
  readonly abstained: readonly { readonly reason: string; readonly times: number }[];
  readonly horizons: readonly HorizonScore[];
}

export interface HorizonScore {
  /** Seconds. */
  readonly ahead: number;
  readonly due: number;
  readonly scored: number;
  readonly covered: number;
  readonly error: number | null;
  readonly persistenceError: number | null;
  /** Patients for whom it is not good enough. */
  readonly unfit: number;
}

export interface AlertScore {
  readonly model: string;
  readonly condition: string;
  /** Why nothing is counted; empty where something is. */
  readonly absent: string;
  readonly event: string;
  /** Milliseconds. */
  readonly within: number;
  readonly told: number;
  readonly right: number;
  readonly late: number;
  readonly wrong: number;
  readonly open: number;
  readonly events: number;
  readonly missed: number;
  /** Milliseconds. */
  readonly lead: { readonly mean: number; readonly least: number; readonly most: number } | null;
}

/** A set of rules that is, was or might be in force. */
export interface RuleSet {
  readonly hash: string;
  readonly document: string;
  /** Null: it is built in. */
  readonly since: number | null;
  readonly by: string;
  readonly reason: string;
}

/** What a set would have done on recorded days, beside the one in force. */
export interface Trial {
  readonly hash: string;
  readonly from: number;
  readonly to: number;
  readonly patients: number;
  /** Patient-days in which anything was measured. */
  readonly days: number;
  readonly alerts: Beside;
  readonly night: Beside;
  readonly burdens: readonly (Beside & { readonly condition: string; readonly priority: Priority })[];
  readonly missed: readonly { readonly condition: string; readonly priority: Priority; readonly alerts: number; readonly acknowledged: number }[];
  readonly groups: readonly RuleGroup[];
  /** Why it may not be put into force, in the centre's words. */
  readonly refusals: readonly string[];
  /** Conditions whose models it has quieter. */
  readonly quieter: readonly string[];
  /** Lines that have a model quiet for some people while it speaks of others. */
  readonly silenced: readonly Silenced[];
}

/** A line that has a model quiet for some people: whose decision, why, and what they miss. */
export interface Silenced {
  readonly condition: string;
  readonly standing: string;
  /** Whom, in the centre's words. */
  readonly cohort: string;
  /** Empty: it does not say. */
  readonly by: string;
  readonly why: string;
  readonly missed: readonly { readonly priority: Priority; readonly alerts: number }[];
  readonly groups: readonly { readonly of: string; readonly group: string; readonly patients: number; readonly days: number; readonly alerts: number }[];
  /** The rules in force are quiet about it already: `missed` is not all. */
  readonly uncounted: boolean;
}

/** Under the rules in force, and under those that are tried. */
export interface Beside {
  readonly before: number;
  readonly after: number;
}

/** Alerts a patient-day of patients who have something in common. */
export interface RuleGroup extends Beside {
  readonly of: string;
  readonly group: string;
  readonly patients: number;
  readonly change: number;
  readonly low: number;
  readonly high: number;
}

/** Newest first; the first one is in force. */
export interface RuleBook {
  readonly sets: readonly RuleSet[];
  readonly trial: Trial | null;
}

/** A stretch of time in which the same people have a duty. */
export interface Turn {
  readonly duty: Duty;
  /** The shift's name; empty: no shift. */
  readonly shift: string;
  readonly from: number;
  readonly until: number;
  readonly people: readonly string[];
  /** Of these, who can be called. */
  readonly able: readonly string[];
  /** To be taken over, from those who leave. */
  readonly handover: boolean;
  readonly leaving: readonly string[];
  readonly takenBy: string;
  readonly taken: number | null;
}

/** Who is on duty in a team. */
export interface Roster {
  readonly team: string;
  /** Empty: the team has none. */
  readonly document: string;
  readonly since: number | null;
  readonly by: string;
  /** Why the centre cannot read it; empty: it can. */
  readonly unread: string;
  readonly now: readonly Turn[];
  readonly next: readonly Turn[];
  readonly gaps: readonly Turn[];
  readonly remarks: readonly string[];
}

/** Why somebody should look at a gateway or device; in the order of `vitaltwin.v1.Need`, most urgent first after the first one. */
export const NEEDS = [
  "something",
  "cloned",
  "certificate",
  "silent",
  "broken",
  "settings",
  "unreachable",
  "battery",
  "clock",
  "backlog",
  "token-ended",
  "enrolment",
  "assignment",
  "unheard",
  "look",
] as const;
export type Need = (typeof NEEDS)[number];

/** In the order of `vitaltwin.v1.GatewayActKind`. */
export const GATEWAY_ACTS = ["something", "token", "assigned", "settings", "revoked"] as const;
export type GatewayActKind = (typeof GATEWAY_ACTS)[number];

/** In the order of `vitaltwin.v1.ConfigurationOutcome`. */
export const OUTCOMES = ["none", "trial", "applied", "refused", "rolled-back"] as const;

/** A device that is assigned, as a thing that needs care. */
export interface FleetDevice {
  readonly patient: string;
  readonly person: string;
  readonly address: string;
  readonly name: string;
  readonly model: string;
  /** "connected", "searching", "lost"; empty: not met yet. */
  readonly link: string;
  readonly battery: number | null;
  readonly worn: boolean | null;
  readonly lastReading: number | null;
  /** When the gateway was given a receipt last for something of it. */
  readonly lastReceipt: number | null;
  /** How far its clock is ahead, milliseconds, and how much it gains, seconds a day. */
  readonly clock: { readonly ahead: number; readonly gains: number } | null;
  readonly needs: readonly Need[];
}

export interface FleetGateway {
  readonly id: string;
  readonly label: string;
  readonly revoked: boolean;
  readonly enrolled: boolean;
  /** "mqtt", "grpc" or empty. */
  readonly connectedBy: string;
  readonly needs: readonly Need[];
  readonly version: string;
  readonly heard: number | null;
  readonly lastReceipt: number | null;
  readonly certificateEnds: number | null;
  readonly tokenEnds: number | null;
  readonly backlog: number;
  /** Numbers of settings: sent last (0: none) and in force (null: not said). */
  readonly wanted: number;
  readonly running: number | null;
  readonly outcome: (typeof OUTCOMES)[number];
  readonly outcomeDetail: string;
  /** When its doctor looked; null: not yet. */
  readonly looked: number | null;
  readonly findings: readonly { readonly check: string; readonly broken: boolean; readonly found: string; readonly remedy: string }[];
  readonly devices: readonly FleetDevice[];
}

export interface GatewayAct {
  readonly kind: GatewayActKind;
  readonly number: number;
  readonly by: string;
  readonly at: number;
  readonly text: string;
}

/** One gateway with its past. */
export interface GatewayPast {
  readonly gateway: FleetGateway;
  readonly settings: string;
  readonly acts: readonly GatewayAct[];
}

export interface Hop {
  readonly hop: string;
  readonly all: number;
  readonly silent: number;
  readonly since: number | null;
}

export interface ServiceLoad {
  readonly patients: number;
  readonly gateways: number;
  readonly connected: number;
  readonly readers: number;
  readonly readings: number;
  readonly entriesWaiting: number;
  readonly recordsWaiting: number;
  readonly stopped: string;
  readonly refused: readonly (readonly [why: string, count: number])[];
}

export interface Fleet {
  readonly at: number;
  readonly gateways: readonly FleetGateway[];
  readonly hops: readonly Hop[];
  readonly load: ServiceLoad | null;
  readonly warnings: readonly string[];
}
