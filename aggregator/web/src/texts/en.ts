// English. The other languages have the same keys.

import type { Next } from "../care.ts";
import type { AlertState, Category, Duty, Kind, Priority } from "../model.ts";
import { CONDITIONS, KIND_NAMES, KIND_SHORT } from "./en.terms.ts";
import { fleet } from "./en.fleet.ts";
import { ways } from "./en.ways.ts";
import { home } from "./en.home.ts";
import { handover } from "./en.handover.ts";
import { paper } from "./en.paper.ts";
import { roster } from "./en.roster.ts";
import { rules } from "./en.rules.ts";
import { scoreboard } from "./en.scoreboard.ts";
import * as together from "./en.together.ts";

/** "sensor_off" to "Sensor off": for names that this page is too old to know. */
function readable(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const HOW: Readonly<Record<string, string>> = { passkey: "With a passkey", password: "With password and code", provider: "With your organisation" };
const PRIORITY: Readonly<Record<Priority, string>> = { high: "High", medium: "Medium", low: "Low" };
const SYMBOL: Readonly<Record<Priority, string>> = { high: "!!!", medium: "!!", low: "!" };

export const en = {
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

  nav: { label: "Pages", worklist: "Worklist", alerts: "Alerts", handover: "Handover", wall: "Wall", roster: "Roster", rules: "Rules", fleet: "Fleet" },
  tools: {
    theme: "Colours",
    themes: { auto: "Automatic", light: "Light", dark: "Dark" },
    themeNow: (name: string) => `Colours: ${name}. Change`,
    person: (name: string) => `Signed in as ${name}`,
    signOut: "Sign out",
  },

  roles: {
    looksOnly: "You are signed in to look: somebody else has to do this.",
  },

  fleet,
  home,
  roster,
  rules,
  scoreboard,
  ways,
  passkey: {
    button: "Sign in with a passkey",
    or: "or",
    failed: "That passkey was not accepted, or none was given. Try once more, or ask for a one-time link.",
  },
  locked: {
    title: "This screen is locked",
    lock: "Lock this screen",
    lead: (person: string) => `Locked for ${person}. Nothing about patients is shown until somebody signs in again.`,
    rings: (high: number, all: number) =>
      `${all === 1 ? "An alert waits" : `${all} alerts wait`} for someone${high > 0 ? `, ${high} of high priority` : ""}. Sign in to see ${all === 1 ? "it" : "them"}.`,
    how: "Alarms go on sounding while the screen is locked. Without a passkey, open a new one-time link in this browser.",
  },
  account: {
    title: "My sign-ins and passkeys",
    passkeys: "Passkeys",
    noPasskeys: "None yet. With a passkey you sign in by finger, face or PIN, without a link.",
    unnamed: "Passkey",
    label: "Name for a new passkey",
    labelHint: "For instance: my phone.",
    add: "Make a passkey",
    added: "The passkey is ready.",
    remove: "Remove",
    notFresh: "To make a passkey, sign in once more: it is possible within fifteen minutes of signing in.",
    impossible: "This browser makes no passkeys here. They need the centre's name in the address bar, not a bare address.",
    sessions: "Where you are signed in",
    here: "Here",
    how: (how: string): string => HOW[how] ?? "With a one-time link",
    since: (span: string) => `for ${span}`,
    end: "End",
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
  categoryTag: (category: Category): string => category,
  category: (category: Category): string => (category === "technical" ? "Technical" : "Physiological"),
  badge: (priority: Priority, category: Category, state: AlertState) =>
    `${PRIORITY[priority]} priority, ${category}${state === "active" ? "" : `, ${state}`}`,
  counts: {
    spoken: (priority: Priority, count: number) =>
      `${count} unacknowledged ${PRIORITY[priority].toLowerCase()} priority ${count === 1 ? "alert" : "alerts"}`,
  },
  announce: (priority: Priority, who: string, condition: string) => `${PRIORITY[priority]} priority alert, ${who}: ${condition}`,
  urgent: (who: string, condition: string, wait: string, others: number) => `!!! ${who}: ${condition}, waiting ${wait}${others === 0 ? "" : ` · and ${others} more`}`,
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
      next: "Owner and next step",
    },
    patients: (count: number) => (count === 1 ? "1 patient" : `${count} patients`),
    patientsOf: (shown: number, all: number) => `${shown} of ${all} patients`,
    nobodyPasses: "No patient passes the filter.",
    kept: (count: number) => `${count === 1 ? "1 patient does" : `${count} patients do`} not pass the filter and ${count === 1 ? "is" : "are"} shown all the same: a high priority alert waits.`,
    owner: (who: string) => `Owner: ${who}`,
    step: (what: Next["what"]): string =>
      ({ unanswered: "Nobody answered", acknowledge: "Acknowledge", take: "Take it", yours: "Yours", theirs: "Being looked after", silenced: "Silenced", nothing: "Watch" })[what],
    wakes: (clock: string) => `until ${clock}`,
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
    zone: (clock: string, zone: string, shown: boolean) => (shown ? `all times in the patient's zone, ${zone}` : `${clock} at the patient's (${zone})`),
    tally: (name: string, day: string, hour: string) => {
      const of = name === "steps" ? "Steps" : "Energy spent (kJ)";
      return `${of}: ${day} in 24 hours, ${hour} in the last hour`;
    },
  },

  alerts: {
    title: "Alerts",
    open: "Open alerts",
    openThen: (clock: string) => `Alerts that were open at ${clock}, as known then`,
    resolved: "Resolved",
    showResolved: "Show resolved",
    none: "No open alerts.",
    noneOfCategory: (category: string) => `No open ${category.toLowerCase()} alerts.`,
    raised: "Raised",
    onset: "Began",
    resolvedAt: "Resolved",
    ago: (age: string) => `${age} ago`,
    waiting: (age: string) => `waiting ${age}`,
    stateTag: (state: AlertState): string => state,
    predictive: "Foreseen",
    predictiveTag: "foreseen",
    retrospectiveTag: "found afterwards",
    expected: (clock: string, within: string) => `expected at ${clock} (${within})`,
    expectedPast: (clock: string) => `was expected at ${clock}`,
    probability: (percent: string) => `probability ${percent}`,
    evidence: "Why",
    evidenceHint: "share of the decision",
    limit: (value: string) => `limit\u00a0${value}`,
    avoided: (value: string) => `nobody would have been told at ${value}`,
    share: (percent: string) => `${percent} of the decision`,
    known: (since: string) => (since === "" ? "known" : `known, ${since}`),
    knownHint: "what people know of the patient bears upon it, and had no part in what was measured",
    plain: "In plain words",
    model: "Model",
    hash: "Definition",
    subject: "Concerns",
    acknowledge: "Acknowledge",
    pick: (condition: string) => `Choose for acknowledging together: ${condition}`,
    pickNever: "High priority is acknowledged one by one",
    withdrawn: (clock: string, who: string, why: string) => `Withdrawn ${clock} by ${who}, because readings that it rested on were not this patient's: ${why}`,
    acknowledged: (who: string, when: string) => `Acknowledged by ${who}, ${when}`,
    owner: (who: string) => `owner: ${who}`,
    snoozed: (clock: string) => `silenced until ${clock}`,
    call: (duty: Duty, clock: string): string => `${duty} ${clock}`,
    called: (calls: string) => `called: ${calls}`,
    unanswered: "nobody answered",
    partOf: "sign of the same problem: called with the most urgent one",
    nextCall: (clock: string) => `next call ${clock}`,
    comment: (clock: string, who: string, said: string) => `${clock}, ${who}: ${said}`,
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
    then: "then",
    range: "Time range",
    ranges: { "15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "1y": "1 y" },
    rangesSpoken: { "15m": "15 minutes", "1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "1y": "1 year" },
    known: "What did we know then?",
    knownSlider: "As it was known at",
    knownHint: "Readings and acts that came to the centre later are left out. Live values above go on.",
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
    unfit: (ahead: string) => `Not shown ${ahead} ahead: not good enough for this patient`,
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
      removed: "No longer kept",
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
    contact: (on: boolean | null): string => (on === null ? "contact unknown" : on ? "on the body" : "not on the body"),
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

  ask: {
    cancel: "Cancel",
    close: "Close",
    failed: (why: string) => `Not done: ${why}`,
  },

  acts: {
    acknowledge: "Acknowledge",
    acknowledgeAll: (count: number) => `Acknowledge ${count}`,
    acknowledged: "Acknowledged.",
    note: "Note (optional)",
    noteHint: "What you did or will do. Kept with the alert under your name.",
    comment: "Comment",
    commentShort: "Comment",
    commentText: "Comment",
    commentHint: "Kept with the alert under your name. It is no answer: who was to be called is called on.",
    commentSave: "Save comment",
    commented: "Comment saved.",
    take: "Take",
    takeAll: "Take it myself",
    taken: "Taken: it is yours now.",
    assign: "Assign",
    assignShort: "Assign",
    assignTo: "Whose affair it is",
    assignHint: "A name as that person signs in.",
    assigned: (who: string) => `Assigned to ${who}.`,
    release: "Nobody's in particular",
    released: "Released.",
    silence: "Silence the condition",
    silenceShort: "Silence",
    silenceMeans: "It is still raised and shown, and nobody is called, until the time ends, somebody wakes it, or it becomes high priority.",
    silenceNever: "Nothing silences a condition while it holds at high priority.",
    silenceFor: "For how long",
    until: (span: string, clock: string) => `${span}, until ${clock}`,
    reason: "Reason",
    reasonHint: "Needed. Shown to everybody who sees the alert.",
    silenced: "Silenced.",
    wake: "Wake",
    woken: "Heard again.",
    more: (count: number) => `and ${count} more`,
  },

  filters: {
    search: "Search name or pseudonym",
    filter: "Filter",
    filterOn: "Filter (on)",
    kept: "Your filters",
    save: "Keep this filter",
    saveTitle: "Keep this filter",
    saveAbout: "Kept in this browser, for you. Words that you search for are not kept.",
    name: "Name of the filter",
    saved: (name: string) => `Filter ${name} kept.`,
    forget: (name: string) => `Forget filter ${name}`,
    clear: "Show all",
    facets: {
      alerts: { name: "Alerts", words: { any: "with or without", open: "with open alerts", waiting: "waiting for someone" } as Record<string, string> },
      category: { name: "About", words: { any: "body or technique", physiological: "the body", technical: "technique" } as Record<string, string> },
      owner: { name: "Owner", words: { any: "anybody or nobody", mine: "me", nobody: "nobody" } as Record<string, string> },
      data: { name: "Data", words: { any: "fresh or stale", stale: "stale", fresh: "fresh" } as Record<string, string> },
    },
  },

  sound: {
    title: "Alarm sound",
    on: "on",
    off: "Sound off",
    blocked: "Sound still off",
    paused: (span: string) => `Sound paused ${span}`,
    switchOn: "The sound is off until you click or press a key",
    pause: "Pause the alarm sound for two minutes. A new high priority alert ends the pause",
    resume: "Hear the alarm again",
  },

  settings: {
    title: "Settings",
    about: "Kept in this browser. They change what you see, not what the centre does.",
    language: "Language",
    languages: { auto: "As the browser says", en: "English", de: "Deutsch" },
    glucose: "Blood glucose",
    temperature: "Temperature",
    zone: "Times",
    zones: { viewer: "In my time zone", patient: "On a patient's page in theirs", utc: "In UTC" },
    zoneHint: "The patient's zone must be written among their facts.",
    flash: "High priority flashes",
    soundHint: "Off is for a room where another screen sounds. The header says so as long as it is off.",
    keys: "Single-key commands",
    keysHint: "Press ? to see them.",
    onOff: { on: "On", off: "Off" },
  },

  keys: {
    title: "Keys",
    about: "They act on the row or card that has the focus.",
    nothingHere: "First choose a row or card with J and K.",
    commands: {
      next: "Next row or card",
      previous: "Previous row or card",
      urgent: "Open the patient who waits most urgently",
      acknowledge: "Acknowledge",
      take: "Take",
      assign: "Assign",
      comment: "Comment",
      silence: "Silence the condition",
      quiet: "Pause or resume the sound",
      search: "Search the worklist",
      worklist: "Go to the worklist",
      alerts: "Go to the alerts",
      handover: "Go to the handover",
      wall: "Go to the wall view",
      help: "This list",
    },
  },

  handover,
  paper,
  together,

  wall: {
    title: "Wall view",
    back: "Worklist",
    watched: (all: number, open: number, silent: number) => `${all} watched · ${open} with alerts · ${silent} without fresh data`,
    others: (count: number) => `+${count}`,
    nobody: "no owner",
    more: (count: number, high: number) => `${count} more with alerts have no room here${high > 0 ? `, ${high} of them high priority` : ""}: see the worklist`,
  },

  facts: {
    title: "What people know",
    none: "Nothing written down yet.",
    failed: (why: string) => `Could not be loaded: ${why}`,
    add: "Write down",
    addAbout: "What no sensor measures. It is kept under your name, and may change what scores and alerts mean.",
    kind: "What it is",
    kinds: {
      1: "Condition",
      2: "Medication",
      3: "Laboratory",
      4: "Genomic",
      5: "Imaging",
      6: "Reported by the patient",
      7: "Year of birth",
      8: "Sex",
      9: "Pregnancy",
      10: "Oxygen target",
      11: "Supplemental oxygen",
      12: "Consciousness (ACVPU)",
      13: "Time zone",
      14: "Own limit",
      15: "Skin tone (Monk scale, 1 to 10)",
    } as Record<number, string>,
    other: "Other",
    label: "Name",
    code: "Code (optional)",
    codeHint: "system|code, such as http://hl7.org/fhir/sid/icd-10|I48.0, http://www.whocc.no/atc|B01AA03, http://loinc.org|2823-3 with its unit; only what has a code bears upon alerts",
    value: "Number",
    unit: "Unit",
    text: "Words",
    textHint: "Oxygen target: 88-92 or 94-98. Consciousness: A, C, V, P or U. Time zone: such as Europe/Berlin. Own limit: heart_rate_low (31 to 60), heart_rate_high (100 to 149) or oxygen_saturation_low (89 to 95), with its number.",
    save: "Save",
    saved: "Written down.",
    retract: "Take back",
    retractAbout: "For what was wrong. What it changed is changed back.",
    retracted: "Taken back.",
    since: (when: string) => `since ${when}`,
    fromTo: (from: string, to: string) => `${from} to ${to}`,
    changes: (effect: string) => `→ ${effect}`,
  },

  standings: {
    title: "Models for this patient",
    about: "Thresholds, and glucose that is low or high, always speak. A model in shadow is scored and raises nothing.",
    standing: { live: "speaks", shadow: "in shadow", off: "off" } as Record<"live" | "shadow" | "off", string>,
    unsaid: (times: number) => (times === 1 ? "(would have told once)" : `(would have told ${times} times)`),
  },

  waves: {
    title: "Waveforms",
    which: "Which waveform",
    names: { 1: "ECG", 2: "Pulse wave (PPG)", 3: "Acceleration" } as Record<number, string>,
    other: "Waveform",
    back: "10 s back",
    ahead: "10 s on",
    newest: "Newest",
    loading: "Looking for waveforms",
    none: "No waveform in these seconds.",
    failed: "Waveforms could not be loaded.",
    strip: (name: string, from: string, to: string, age: string) => `${name}, ${from} to ${to}, ends ${age} ago; one line of the grid is 0.2 s; the height is scaled to the strip.`,
    spoken: (name: string, from: string, to: string) => `${name} from ${from} to ${to}`,
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
    noCode: "vitaltwin shows patients only to people who were given a one-time link. Open yours, or type the code that was read out to you.",
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
};
