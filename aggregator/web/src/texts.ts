// Every word on screen, in one place, for later translation. Words that come from the centre (summaries,
// findings, sources) are its own.

import type { AlertState, Category, Duty, Kind, Priority } from "./model.ts";

const KIND_NAMES: Readonly<Record<Kind, string>> = {
  1: "Heart rate",
  2: "RR intervals",
  3: "Energy",
  4: "Pulse rate",
  5: "Oxygen saturation",
  6: "Pulse amplitude",
  7: "Respiratory rate",
  8: "Temperature",
  9: "Battery",
  10: "Steps",
  11: "Systolic pressure",
  12: "Diastolic pressure",
  13: "Mean pressure",
  14: "Weight",
  15: "Body fat",
  16: "Body mass index",
  17: "Height",
  18: "Muscle mass",
  19: "Muscle",
  20: "Fat-free mass",
  21: "Soft lean mass",
  22: "Body water",
  23: "Body impedance",
  24: "Basal metabolism",
  25: "Blood glucose",
  26: "Glucose (continuous)",
  27: "Glucose change",
  28: "Meal context",
  29: "Carbohydrates",
  30: "HbA1c",
  31: "Steps taken",
  32: "Pulse interval",
  33: "Room temperature",
};

const KIND_SHORT: Readonly<Record<Kind, string>> = {
  1: "HR",
  2: "RR",
  4: "Pulse",
  5: "SpO₂",
  7: "Resp",
  8: "Temp",
  11: "Sys",
  12: "Dia",
  13: "Mean",
};

const CONDITIONS: Readonly<Record<string, string>> = {
  atrial_fibrillation: "Possible atrial fibrillation",
  oxygen_saturation_falling: "Oxygen saturation falling",
  oxygen_saturation_low: "Oxygen saturation low",
  heart_rate_high: "Heart rate high",
  heart_rate_low: "Heart rate low",
  glucose_low: "Glucose low",
  glucose_high: "Glucose high",
  glucose_falling: "Glucose falling",
  early_warning_score: "Early warning score raised",
  sensor_off: "Sensor off the body",
  battery_low: "Battery low",
  device_silent: "Device silent",
  device_lost: "Device out of reach",
  gateway_silent: "Gateway silent",
  clock_wrong: "Clock wrong",
  not_monitored: "Not monitored",
};

/** "sensor_off" to "Sensor off": for names that this page is too old to know. */
function readable(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const PRIORITY: Readonly<Record<Priority, string>> = { high: "High", medium: "Medium", low: "Low" };
const SYMBOL: Readonly<Record<Priority, string>> = { high: "!!!", medium: "!!", low: "!" };

export const texts = {
  brand: "vitaltwin",
  title: (page: string) => `${page} · vitaltwin`,
  disclaimer: "Research software, not a medical device",
  disclaimerLong:
    "Research software, not a medical device. Decision support only: it does not replace a clinician, and it does not call for help. In an emergency call the emergency services.",
  skip: "Skip to content",
  testData: "Test data",
  testDataLong: "These patients are simulated or replayed. No real person is shown.",
  testClock: "Test clock",
  systemClock: "Centre's time",

  nav: { label: "Pages", worklist: "Worklist", alerts: "Alerts" },
  tools: {
    theme: "Colours",
    themes: { auto: "Automatic", light: "Light", dark: "Dark" },
    themeNow: (name: string) => `Colours: ${name}. Change`,
    flashing: "Flashing",
    flashingOn: "Flashing on",
    flashingOff: "Flashing off",
    flashingNow: (on: boolean) => `High alerts ${on ? "flash" : "do not flash"}. Change`,
    person: (name: string) => `Signed in as ${name}`,
    signOut: "Sign out",
  },

  connection: {
    live: "Live",
    connecting: "Connecting",
    down: "No connection",
    ended: "Ended",
    label: (state: string) => `Connection: ${state}. Details`,
    roundTrip: "Round trip to the centre",
    twins: "Stream of values",
    alerts: "Stream of alerts",
    conflated: "Skipped intermediate states",
    phases: { connecting: "connecting", live: "live", waiting: "broken, trying again", ended: "ended" },
    retryIn: (span: string) => `next try in ${span}`,
    lost: (age: string) => `No connection to the centre for ${age}. Values below are old; new alerts cannot arrive.`,
    restored: "Connection to the centre restored.",
    lostSpoken: "Connection to the centre lost. Values are old and new alerts cannot arrive.",
    person: "Signed in as",
    fingerprint: "Centre's CA (SHA-256)",
  },

  priority: (priority: Priority) => PRIORITY[priority],
  symbol: (priority: Priority) => SYMBOL[priority],
  categoryTag: (category: Category) => category,
  category: (category: Category) => (category === "technical" ? "Technical" : "Physiological"),
  badge: (priority: Priority, category: Category, state: AlertState) =>
    `${PRIORITY[priority]} priority, ${category}${state === "active" ? "" : `, ${state}`}`,
  counts: {
    spoken: (priority: Priority, count: number) =>
      `${count} unacknowledged ${PRIORITY[priority].toLowerCase()} priority ${count === 1 ? "alert" : "alerts"}`,
  },
  announce: (priority: Priority, who: string, condition: string) => `${PRIORITY[priority]} priority alert, ${who}: ${condition}`,
  condition: (condition: string) => CONDITIONS[condition] ?? readable(condition),

  kind: (kind: Kind) => KIND_NAMES[kind] ?? `Kind ${kind}`,
  kindShort: (kind: Kind) => KIND_SHORT[kind] ?? KIND_NAMES[kind] ?? `Kind ${kind}`,
  absence: (absence: number) =>
    ({ 1: "could not measure", 2: "not at this resolution", 3: "above range", 4: "below range", 5: "reserved value", 6: "not on the body", 7: "no signal lock" })[
      absence
    ] ?? "no value",
  quality: (bits: number): string[] => {
    const words: string[] = [];
    if (bits & 1) words.push("not on the body");
    if (bits & 2) words.push("weak signal");
    if (bits & 4) words.push("implausible");
    if (bits & 8) words.push("clock repaired");
    if (bits & 16) words.push("early estimate");
    if (bits & 32) words.push("device test value");
    return words;
  },

  worklist: {
    title: "Worklist",
    groups: { waiting: "Waiting for someone", taken: "Acknowledged", calm: "No open alerts" },
    groupHints: {
      waiting: "Most urgent first, then longest waiting",
      taken: "Someone took notice; still open",
      calm: "Watched",
    },
    columns: {
      patient: "Patient and reason",
      since: "Waiting",
      vital: "Key vital",
      forecast: "Forecast",
      news2: "NEWS2",
      data: "Data age",
    },
    patients: (count: number) => (count === 1 ? "1 patient" : `${count} patients`),
    calm: "No open alerts",
    acknowledgedBy: (who: string, age: string) => `acknowledged by ${who} ${age} ago`,
    since: (clock: string) => `since ${clock}`,
    noData: "none yet",
    noValue: "no value",
    stale: (age: string) => `stale ${age}`,
    fresh: (age: string) => age,
    dataSpoken: (age: string, stale: boolean) => `Newest data ${age} old${stale ? ", stale" : ""}`,
    crosses: (kind: string, threshold: string, falling: boolean) => `${kind} ${falling ? "below" : "above"} ${threshold}`,
    within: (span: string) => `in ${span}`,
    crossingNow: "now",
    noCrossing: "no crossing",
    abstains: "abstains",
    noForecast: "none yet",
    emptyTitle: "No patients yet",
    empty: "When a gateway sends the first readings of an assigned patient, that patient appears here by itself.",
    loading: "Waiting for the first values from the centre",
    missing: (count: number) => `${count} missing`,
  },

  sparkline: (kind: string, from: string, to: string, low: string, high: string) =>
    `${kind} from ${from} to ${to}: lowest ${low}, highest ${high}`,
  sparklineEmpty: (kind: string) => `${kind}: no trend yet`,

  patient: {
    back: "Worklist",
    unknownTitle: "Patient not found",
    unknown: "The centre shows no such patient to you. The link may be old, or the assignment may have ended.",
    loading: "Waiting for this patient's twin",
    newest: (age: string) => `newest data ${age} old`,
    position: (position: string) => `Journal position ${position}`,
    now: "Now",
    trends: "Trends",
    usual: (low: string, high: string) => `usual ${low}–${high}`,
    learning: "learning what is usual",
    stale: (age: string) => `stale, ${age} old`,
    age: (age: string) => `${age} ago`,
    good: "good signal",
    others: (count: number) => (count === 1 ? "1 other patient waits" : `${count} other patients wait`),
    noValues: "No live values yet.",
    disagrees: (value: string) => `another sensor says ${value}`,
    tally: (name: string, day: number, hour: number) => {
      const of = name === "steps" ? "Steps" : "Energy spent (kJ)";
      return `${of}: ${day.toLocaleString("en-GB")} in 24 hours, ${hour.toLocaleString("en-GB")} in the last hour`;
    },
  },

  alerts: {
    title: "Alerts",
    open: "Open alerts",
    resolved: "Resolved",
    showResolved: "Show resolved",
    none: "No open alerts.",
    noneOfCategory: (category: string) => `No open ${category.toLowerCase()} alerts.`,
    raised: "Raised",
    onset: "Began",
    resolvedAt: "Resolved",
    ago: (age: string) => `${age} ago`,
    waiting: (age: string) => `waiting ${age}`,
    stateTag: (state: AlertState) => state,
    predictive: "Foreseen",
    predictiveTag: "foreseen",
    retrospectiveTag: "found afterwards",
    expected: (clock: string, within: string) => `expected at ${clock} (${within})`,
    expectedPast: (clock: string) => `was expected at ${clock}`,
    probability: (percent: string) => `probability ${percent}`,
    evidence: "Why",
    evidenceHint: "share of the decision",
    limit: (value: string) => `limit\u00a0${value}`,
    share: (percent: string) => `${percent} of the decision`,
    plain: "In plain words",
    model: "Model",
    hash: "Definition",
    subject: "Concerns",
    acknowledge: "Acknowledge",
    acknowledging: "Acknowledging…",
    note: "Note (optional)",
    noteHint: "What you did or will do. Kept with the alert under your name.",
    confirm: "Acknowledge",
    cancel: "Cancel",
    failed: (why: string) => `Not acknowledged: ${why}`,
    acknowledged: (who: string, when: string) => `Acknowledged by ${who}, ${when}`,
    owner: (who: string) => `owner: ${who}`,
    snoozed: (clock: string) => `silenced until ${clock}`,
    call: (duty: Duty, clock: string) => `${duty} ${clock}`,
    called: (calls: string) => `called: ${calls}`,
    unanswered: "nobody answered",
    nextCall: (clock: string) => `next call ${clock}`,
    comment: (clock: string, who: string, said: string) => `${clock}, ${who}: ${said}`,
    acknowledgedSpoken: "Acknowledged.",
    details: "Details",
    loadFailed: "Resolved alerts could not be loaded.",
  },

  chart: {
    measured: "Measured",
    measuredBy: (device: string) => `Measured: ${device}`,
    usual: "Personal usual range",
    forecast: (percent: string) => `Forecast, ${percent} interval`,
    limit: (value: string) => `limit ${value}`,
    now: "now",
    range: "Time range",
    ranges: { "15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h" },
    rangesSpoken: { "15m": "15 minutes", "1h": "1 hour", "6h": "6 hours", "24h": "24 hours" },
    loading: "Loading past readings",
    failed: "Past readings could not be loaded; live ones are appended.",
    retry: "Try again",
    noData: "No readings in this range",
    spoken: (kind: string, count: number, low: string, high: string, last: string) =>
      `Trend of ${kind}: ${count} readings, lowest ${low}, highest ${high}, latest ${last}.`,
    spokenForecast: (until: string, value: string, low: string, high: string) =>
      `Forecast for ${until}: ${value}, between ${low} and ${high}.`,
    abstains: (why: string) => `No forecast: ${why}`,
    crosses: (threshold: string, at: string, within: string) => `Crosses ${threshold} at ${at}, ${within}`,
    below: (threshold: string) => `Below ${threshold} now`,
    above: (threshold: string) => `Above ${threshold} now`,
    noCrossing: "No crossing foreseen",
    coverage: (nominal: string, observed: string, scored: number) =>
      `Intervals aim at ${nominal}, held ${observed} of ${scored} so far`,
    coverageUnknown: (nominal: string) => `Intervals aim at ${nominal}; none scored yet`,
    error: (own: string, persistence: string) => `Mean error ${own}, against ${persistence} for “stays as it is”`,
    model: (name: string) => name,
    reading: (clock: string, value: string) => `${clock}  ${value}`,
  },

  coverage: {
    title: "Coverage",
    names: {
      measured: "Measured",
      "not-worn": "Not worn",
      "sensor-fault": "Sensor fault",
      "clock-unknown": "Clock unknown",
      dropped: "Dropped, buffer full",
      lost: "Lost",
      "out-of-range": "Out of range",
      "gateway-down": "Gateway down",
      awaited: "Awaited",
      forgotten: "Too long ago",
      withheld: "Paused by the patient",
      unassigned: "No sensor",
    },
    share: (name: string, percent: string) => `${name} ${percent}`,
    little: (percent: string) => `under ${percent}`,
    spoken: (shares: string) => `Coverage of the time shown: ${shares}.`,
    stretch: (name: string, from: string, to: string, readings: number) =>
      `${name}, ${from} to ${to}${readings > 0 ? `, at least ${readings} readings` : ""}`,
  },

  score: {
    title: "NEWS2",
    total: (low: number, high: number) => (low === high ? String(low) : `${low}–${high}`),
    spoken: (low: number, high: number) => (low === high ? `NEWS2 ${low}` : `NEWS2 between ${low} and ${high}`),
    missing: (count: number) =>
      count === 0 ? "All parts known" : count === 1 ? "1 part missing: shown as an interval" : `${count} parts missing: shown as an interval`,
    part: readable,
    points: (points: number) => (points === 1 ? "1 point" : `${points} points`),
    none: "No score yet.",
    missingPart: "missing",
    other: (name: string, low: number, high: number) => `${name === "qsofa" ? "qSOFA" : name.toUpperCase()} ${low === high ? low : `${low} to ${high}`}`,
  },

  rhythm: {
    title: "Rhythm",
    entropy: "Entropy",
    cut: (value: string) => `cut ${value}`,
    beats: (count: number) => `${count} beats`,
    none: "No beat-to-beat data.",
    scale: (value: string, cut: string) => `Entropy ${value}, cut ${cut}`,
  },

  devices: {
    title: "Devices",
    none: "No device seen yet.",
    battery: "Battery",
    batteryUnknown: "battery unknown",
    contact: (on: boolean | null) => (on === null ? "contact unknown" : on ? "on the body" : "not on the body"),
    lastReading: (age: string) => `last reading ${age} ago`,
    noReading: "no reading yet",
    unnamed: "Unnamed device",
    source: (source: number) => `source ${source}`,
    link: (link: string) => (link === "" ? "link unknown" : readable(link).toLowerCase()),
  },

  gateways: {
    title: "Gateway and data path",
    none: "No gateway heard yet.",
    silent: "silent",
    heard: (age: string) => `heard ${age} ago`,
    neverHeard: "never heard",
    decoded: "Decoded at the gateway",
    applied: "Applied to the twin",
    lost: "Declared lost",
    duplicated: "Duplicates refused",
    quarantined: "Quarantined",
    buffer: "Waiting at the gateway",
    complete: "arrived",
    share: (percent: string) => `${percent} of decoded readings applied`,
  },

  signedOut: {
    title: "You are not signed in",
    lead: "vitaltwin shows patients only to people who were given a one-time link.",
    how: "How to get in",
    steps: [
      "Ask whoever runs this centre for a one-time link. They make it with the command below, with your name.",
      "Open the link in this browser. It works once and for a short time.",
      "The browser may warn about the certificate: the centre is its own authority. Compare the fingerprint printed with the link before you go on.",
    ],
    command: 'vitaltwin-aggregator --dir DIR sign-in "YOUR NAME"',
    again: "I have opened my link: check again",
    unreachable: "The centre cannot be reached. Trying again by itself.",
  },

  signIn: {
    title: "Sign in",
    lead: "Your one-time link is ready. It is spent only when you press the button, so a preview of the link in a chat or mail does not use it up.",
    noCode: "vitaltwin shows patients only to people who were given a one-time link. Open yours, or paste it here.",
    code: "One-time link or code",
    button: "Sign in",
    facts: "What happens",
    steps: [
      "The code goes to this centre and is spent.",
      "A cookie that only this centre can read keeps you signed in. Nothing about patients is stored in this browser.",
      "What you do (for instance acknowledge an alert) is kept under your name.",
    ],
    certificate:
      "If the browser warned about the certificate: compare its fingerprint with the one printed beside your link. If they differ, close this page.",
    errors: {
      code: "That code is not valid: it was used already, it is too old, or part of it is missing. Ask for a new link.",
      many: "Too many wrong codes came from this address. Wait a minute, then try again.",
      other: "Signing in did not work. Ask for a new link.",
    },
  },
  fatal: "This page failed to start. Reload it; if that does not help, tell whoever runs the centre.",
} as const;
