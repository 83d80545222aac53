// Deutsch. Dieselben Schlüssel wie im Englischen.

import type { Next } from "../care.ts";
import type { AlertState, Category, Duty, Priority } from "../model.ts";
import type { Texts } from "../texts.ts";
import { CONDITIONS, KIND_NAMES, KIND_SHORT } from "./de.terms.ts";
import { fleet } from "./de.fleet.ts";
import { ways } from "./de.ways.ts";
import { home } from "./de.home.ts";
import { handover } from "./de.handover.ts";
import { paper } from "./de.paper.ts";
import { roster } from "./de.roster.ts";
import { rules } from "./de.rules.ts";
import { scoreboard } from "./de.scoreboard.ts";
import * as together from "./de.together.ts";

const LINKS: Readonly<Record<string, string>> = { connected: "verbunden", disconnected: "getrennt", searching: "wird gesucht", lost: "verloren" };

const PARTS: Readonly<Record<string, string>> = {
  "respiratory rate": "Atemfrequenz",
  "oxygen saturation": "Sauerstoffsättigung",
  "air or oxygen": "Luft oder Sauerstoff",
  "systolic pressure": "Systolischer Druck",
  pulse: "Puls",
  consciousness: "Bewusstsein",
  temperature: "Temperatur",
};

function readable(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const HOW: Readonly<Record<string, string>> = { passkey: "Mit Passkey", password: "Mit Passwort und Code", provider: "Über Ihre Organisation" };
const PRIORITY: Readonly<Record<Priority, string>> = { high: "Hoch", medium: "Mittel", low: "Niedrig" };
const PRIORITY_OF: Readonly<Record<Priority, string>> = { high: "Hohe", medium: "Mittlere", low: "Niedrige" };
const SYMBOL: Readonly<Record<Priority, string>> = { high: "!!!", medium: "!!", low: "!" };
const CATEGORY: Readonly<Record<Category, string>> = { physiological: "körperlich", technical: "technisch" };
const STATE: Readonly<Record<AlertState, string>> = { active: "offen", acknowledged: "quittiert", resolved: "vorbei" };
const DUTY: Readonly<Record<Duty, string>> = { nurse: "Pflege", doctor: "ärztlicher Dienst", supervisor: "Leitung" };

export const de: Texts = {
  brand: "vitaltwin",
  title: (page) => `${page} · vitaltwin`,
  disclaimer: "Forschungssoftware, kein Medizinprodukt",
  disclaimerLong:
    "Forschungssoftware, kein Medizinprodukt. Nur eine Entscheidungshilfe: sie ersetzt keine Fachkraft und ruft keine Hilfe. Im Notfall den Rettungsdienst rufen.",
  skip: "Zum Inhalt",
  testData: "Testdaten",
  testDataLong: "Diese Patienten sind simuliert oder nachgespielt. Es ist kein Mensch zu sehen.",
  testClock: "Testuhr",
  systemClock: "Zeit der Zentrale",

  nav: { label: "Seiten", worklist: "Arbeitsliste", alerts: "Alarme", handover: "Übergabe", wall: "Wand", roster: "Dienstplan", rules: "Regeln", fleet: "Flotte" },
  tools: {
    theme: "Farben",
    themes: { auto: "Automatisch", light: "Hell", dark: "Dunkel" },
    themeNow: (name) => `Farben: ${name}. Ändern`,
    person: (name) => `Angemeldet als ${name}`,
    signOut: "Abmelden",
  },

  roles: {
    looksOnly: "Sie sind zum Zusehen angemeldet: Das muss jemand anderes tun.",
  },

  fleet,
  home,
  roster,
  rules,
  scoreboard,
  ways,
  passkey: {
    button: "Mit Passkey anmelden",
    or: "oder",
    failed: "Dieser Passkey wurde nicht angenommen, oder es kam keiner. Versuchen Sie es noch einmal, oder bitten Sie um einen Einmal-Link.",
  },
  locked: {
    title: "Dieser Bildschirm ist gesperrt",
    lock: "Bildschirm sperren",
    lead: (person: string) => `Gesperrt für ${person}. Über Patienten wird nichts gezeigt, bis sich jemand neu anmeldet.`,
    rings: (high: number, all: number) =>
      `${all === 1 ? "Ein Alarm wartet" : `${all} Alarme warten`} auf jemanden${high > 0 ? `, ${high} mit hoher Priorität` : ""}. Melden Sie sich an, um mehr zu sehen.`,
    how: "Alarme ertönen weiter, solange der Bildschirm gesperrt ist. Ohne Passkey öffnen Sie einen neuen Einmal-Link in diesem Browser.",
  },
  account: {
    title: "Meine Anmeldungen und Passkeys",
    passkeys: "Passkeys",
    noPasskeys: "Noch keine. Mit einem Passkey melden Sie sich mit Finger, Gesicht oder PIN an, ohne Link.",
    unnamed: "Passkey",
    label: "Name für einen neuen Passkey",
    labelHint: "Zum Beispiel: mein Telefon.",
    add: "Passkey anlegen",
    added: "Der Passkey ist bereit.",
    remove: "Entfernen",
    notFresh: "Um einen Passkey anzulegen, melden Sie sich noch einmal an: Es geht in den ersten fünfzehn Minuten danach.",
    impossible: "Dieser Browser legt hier keine Passkeys an. Sie brauchen den Namen der Zentrale in der Adresszeile, keine bloße Adresse.",
    sessions: "Wo Sie angemeldet sind",
    here: "Hier",
    how: (how: string): string => HOW[how] ?? "Mit Einmal-Link",
    since: (span: string) => `seit ${span}`,
    end: "Beenden",
  },

  connection: {
    live: "Live",
    connecting: "Verbinde",
    down: "Keine Verbindung",
    ended: "Beendet",
    label: (state) => `Verbindung: ${state}. Einzelheiten`,
    roundTrip: "Zur Zentrale und zurück",
    twins: "Strom der Werte",
    alerts: "Strom der Alarme",
    conflated: "Übersprungene Zwischenstände",
    phases: { connecting: "verbindet", live: "live", waiting: "unterbrochen, neuer Versuch", ended: "beendet" },
    retryIn: (span) => `nächster Versuch in ${span}`,
    lost: (age) => `Seit ${age} keine Verbindung zur Zentrale. Die Werte unten sind alt; neue Alarme können nicht ankommen.`,
    restored: "Die Verbindung zur Zentrale steht wieder.",
    lostSpoken: "Die Verbindung zur Zentrale ist unterbrochen. Die Werte sind alt, und neue Alarme können nicht ankommen.",
    person: "Angemeldet als",
    fingerprint: "CA der Zentrale (SHA-256)",
  },

  priority: (priority) => PRIORITY[priority],
  symbol: (priority) => SYMBOL[priority],
  categoryTag: (category) => CATEGORY[category],
  category: (category) => (category === "technical" ? "Technisch" : "Körperlich"),
  badge: (priority, category, state) => `${PRIORITY_OF[priority]} Priorität, ${CATEGORY[category]}${state === "active" ? "" : `, ${STATE[state]}`}`,
  counts: {
    spoken: (priority, count) => `${count} nicht ${count === 1 ? "quittierter Alarm" : "quittierte Alarme"} der Priorität ${PRIORITY[priority].toLowerCase()}`,
  },
  announce: (priority, who, condition) => `Alarm, ${PRIORITY_OF[priority].toLowerCase()} Priorität, ${who}: ${condition}`,
  urgent: (who, condition, wait, others) => `!!! ${who}: ${condition}, wartet ${wait}${others === 0 ? "" : ` · und ${others} weitere`}`,
  condition: (condition) => CONDITIONS[condition] ?? readable(condition),

  kind: (kind) => KIND_NAMES[kind] ?? `Größe ${kind}`,
  kindShort: (kind) => KIND_SHORT[kind] ?? KIND_NAMES[kind] ?? `Größe ${kind}`,
  absence: (absence) =>
    ({ 1: "nicht messbar", 2: "nicht in dieser Auflösung", 3: "über dem Messbereich", 4: "unter dem Messbereich", 5: "reservierter Wert", 6: "nicht am Körper", 7: "kein Signal" })[
      absence
    ] ?? "kein Wert",
  quality: (bits) => {
    const words: string[] = [];
    if (bits & 1) words.push("nicht am Körper");
    if (bits & 2) words.push("schwaches Signal");
    if (bits & 4) words.push("unglaubhaft");
    if (bits & 8) words.push("Uhr berichtigt");
    if (bits & 16) words.push("frühe Schätzung");
    if (bits & 32) words.push("Prüfwert des Geräts");
    return words;
  },

  worklist: {
    title: "Arbeitsliste",
    groups: { waiting: "Warten auf jemanden", taken: "Quittiert", calm: "Keine offenen Alarme" },
    groupHints: {
      waiting: "Das Dringendste zuerst, dann wer am längsten wartet",
      taken: "Jemand hat es gesehen; noch nicht vorbei",
      calm: "Überwacht",
    },
    columns: {
      patient: "Patient und Grund",
      since: "Wartet",
      vital: "Wichtigster Wert",
      forecast: "Vorhersage",
      news2: "NEWS2",
      data: "Datenalter",
      next: "Zuständig, als Nächstes",
    },
    patients: (count) => (count === 1 ? "1 Patient" : `${count} Patienten`),
    patientsOf: (shown, all) => `${shown} von ${all} Patienten`,
    nobodyPasses: "Kein Patient entspricht dem Filter.",
    kept: (count) =>
      `${count === 1 ? "1 Patient entspricht" : `${count} Patienten entsprechen`} dem Filter nicht und ${count === 1 ? "steht" : "stehen"} trotzdem hier: ein Alarm hoher Priorität wartet.`,
    owner: (who) => `Zuständig: ${who}`,
    step: (what: Next["what"]) =>
      ({ unanswered: "Niemand hat reagiert", acknowledge: "Quittieren", take: "Übernehmen", yours: "Bei Ihnen", theirs: "In Händen", silenced: "Stumm", nothing: "Beobachten" })[what],
    wakes: (clock) => `bis ${clock}`,
    calm: "Keine offenen Alarme",
    acknowledgedBy: (who, age) => `vor ${age} quittiert von ${who}`,
    since: (clock) => `seit ${clock}`,
    noData: "noch keine",
    noValue: "kein Wert",
    stale: (age) => `veraltet ${age}`,
    fresh: (age) => age,
    dataSpoken: (age, stale) => `Neueste Daten ${age} alt${stale ? ", veraltet" : ""}`,
    crosses: (kind, threshold, falling) => `${kind} ${falling ? "unter" : "über"} ${threshold}`,
    within: (span) => `in ${span}`,
    crossingNow: "jetzt",
    noCrossing: "bleibt im Rahmen",
    abstains: "enthält sich",
    noForecast: "noch keine",
    emptyTitle: "Noch keine Patienten",
    empty: "Sobald ein Gateway die ersten Messwerte eines zugewiesenen Patienten sendet, erscheint er hier von selbst.",
    loading: "Warte auf die ersten Werte der Zentrale",
    missing: (count) => (count === 1 ? "1 fehlt" : `${count} fehlen`),
  },

  sparkline: (kind, from, to, low, high) => `${kind} von ${from} bis ${to}: niedrigster Wert ${low}, höchster ${high}`,
  sparklineEmpty: (kind) => `${kind}: noch kein Verlauf`,

  patient: {
    back: "Arbeitsliste",
    unknownTitle: "Patient nicht gefunden",
    unknown: "Die Zentrale zeigt Ihnen keinen solchen Patienten. Der Verweis kann alt sein, oder die Zuweisung ist beendet.",
    loading: "Warte auf den Zwilling dieses Patienten",
    newest: (age) => `neueste Daten ${age} alt`,
    position: (position) => `Stelle im Journal ${position}`,
    now: "Jetzt",
    trends: "Verläufe",
    usual: (low, high) => `üblich ${low}–${high}`,
    learning: "das Übliche wird noch gelernt",
    stale: (age) => `veraltet, ${age} alt`,
    age: (age) => `vor ${age}`,
    good: "gutes Signal",
    others: (count) => (count === 1 ? "1 anderer Patient wartet" : `${count} andere Patienten warten`),
    noValues: "Noch keine laufenden Werte.",
    disagrees: (value) => `ein anderer Sensor sagt ${value}`,
    zone: (clock, zone, shown) => (shown ? `alle Zeiten in der Zeitzone des Patienten, ${zone}` : `${clock} beim Patienten (${zone})`),
    tally: (name, day, hour) => {
      const of = name === "steps" ? "Schritte" : "Energieverbrauch (kJ)";
      return `${of}: ${day} in 24 Stunden, ${hour} in der letzten Stunde`;
    },
  },

  alerts: {
    title: "Alarme",
    open: "Offene Alarme",
    openThen: (clock) => `Alarme, die um ${clock} offen waren, wie man sie damals kannte`,
    resolved: "Vorbei",
    showResolved: "Vergangene zeigen",
    none: "Keine offenen Alarme.",
    noneOfCategory: (category) => `Keine offenen Alarme: ${category.toLowerCase()}.`,
    raised: "Ausgelöst",
    onset: "Begonnen",
    resolvedAt: "Vorbei",
    ago: (age) => `vor ${age}`,
    waiting: (age) => `wartet ${age}`,
    stateTag: (state) => STATE[state],
    predictive: "Vorhergesehen",
    predictiveTag: "vorhergesehen",
    retrospectiveTag: "nachträglich gefunden",
    expected: (clock, within) => `erwartet um ${clock} (${within})`,
    expectedPast: (clock) => `war um ${clock} erwartet`,
    probability: (percent) => `Wahrscheinlichkeit ${percent}`,
    evidence: "Warum",
    evidenceHint: "Anteil an der Entscheidung",
    limit: (value) => `Grenze\u00a0${value}`,
    avoided: (value) => `bei ${value} wäre nichts gemeldet worden`,
    share: (percent) => `${percent} der Entscheidung`,
    known: (since) => (since === "" ? "bekannt" : `bekannt, ${since}`),
    knownHint: "was über die Patientin oder den Patienten bekannt ist, wirkt darauf, und hatte keinen Anteil an dem, was gemessen wurde",
    plain: "In einfachen Worten",
    model: "Modell",
    hash: "Definition",
    subject: "Betrifft",
    acknowledge: "Quittieren",
    pick: (condition) => `Zum gemeinsamen Quittieren wählen: ${condition}`,
    pickNever: "Hohe Priorität wird einzeln quittiert",
    withdrawn: (clock, who, why) => `Zurückgezogen ${clock} von ${who}, weil zugrunde liegende Messwerte nicht von diesem Patienten waren: ${why}`,
    acknowledged: (who, when) => `Quittiert von ${who}, ${when}`,
    owner: (who) => `zuständig: ${who}`,
    snoozed: (clock) => `stumm bis ${clock}`,
    call: (duty, clock) => `${DUTY[duty]} ${clock}`,
    called: (calls) => `gerufen: ${calls}`,
    unanswered: "niemand hat reagiert",
    partOf: "Zeichen desselben Problems: wird mit dem dringendsten gerufen",
    nextCall: (clock) => `nächster Ruf ${clock}`,
    comment: (clock, who, said) => `${clock}, ${who}: ${said}`,
    details: "Einzelheiten",
    loadFailed: "Vergangene Alarme konnten nicht geladen werden.",
  },

  chart: {
    measured: "Gemessen",
    measuredBy: (device) => `Gemessen: ${device}`,
    usual: "Persönlich üblich",
    forecast: (percent) => `Vorhersage, ${percent}-Bereich`,
    limit: (value) => `Grenze ${value}`,
    now: "jetzt",
    then: "damals",
    range: "Zeitraum",
    ranges: { "15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 T", "30d": "30 T", "1y": "1 J" },
    rangesSpoken: { "15m": "15 Minuten", "1h": "1 Stunde", "6h": "6 Stunden", "24h": "24 Stunden", "7d": "7 Tage", "30d": "30 Tage", "1y": "1 Jahr" },
    known: "Was wussten wir damals?",
    knownSlider: "Stand des Wissens um",
    knownHint: "Messwerte und Handlungen, die die Zentrale später erreichten, fehlen. Die laufenden Werte oben gehen weiter.",
    loading: "Lade frühere Messwerte",
    failed: "Frühere Messwerte konnten nicht geladen werden; laufende kommen hinzu.",
    retry: "Noch einmal",
    noData: "Keine Messwerte in diesem Zeitraum",
    spoken: (kind, count, low, high, last) => `Verlauf ${kind}: ${count} Messwerte, niedrigster ${low}, höchster ${high}, letzter ${last}.`,
    spokenForecast: (until, value, low, high) => `Vorhersage für ${until}: ${value}, zwischen ${low} und ${high}.`,
    abstains: (why) => `Keine Vorhersage: ${why}`,
    crosses: (threshold, at, within) => `Überschreitet ${threshold} um ${at}, ${within}`,
    below: (threshold) => `Jetzt unter ${threshold}`,
    above: (threshold) => `Jetzt über ${threshold}`,
    noCrossing: "Keine Überschreitung vorhergesehen",
    unfit: (ahead) => `${ahead} voraus nicht gezeigt: für diesen Patienten nicht gut genug`,
    coverage: (nominal, observed, scored) => `Bereiche zielen auf ${nominal}, hielten bisher ${observed} von ${scored}`,
    coverageUnknown: (nominal) => `Bereiche zielen auf ${nominal}; noch keiner geprüft`,
    error: (own, persistence) => `Mittlerer Fehler ${own}, gegen ${persistence} für „bleibt, wie es ist“`,
    model: (name) => name,
    reading: (clock, value) => `${clock}  ${value}`,
  },

  coverage: {
    title: "Abdeckung",
    names: {
      measured: "Gemessen",
      "not-worn": "Nicht getragen",
      "sensor-fault": "Sensorfehler",
      "clock-unknown": "Uhr unbekannt",
      dropped: "Verworfen, Speicher voll",
      lost: "Verloren",
      "out-of-range": "Außer Reichweite",
      "gateway-down": "Gateway aus",
      awaited: "Erwartet",
      forgotten: "Zu lange her",
      withheld: "Vom Patienten angehalten",
      unassigned: "Kein Sensor",
      removed: "Nicht mehr aufbewahrt",
    },
    share: (name, percent) => `${name} ${percent}`,
    little: (percent) => `unter ${percent}`,
    spoken: (shares) => `Abdeckung der gezeigten Zeit: ${shares}.`,
    stretch: (name, from, to, readings) => `${name}, ${from} bis ${to}${readings > 0 ? `, mindestens ${readings} Messwerte` : ""}`,
  },

  score: {
    title: "NEWS2",
    total: (low, high) => (low === high ? String(low) : `${low}–${high}`),
    spoken: (low, high) => (low === high ? `NEWS2 ${low}` : `NEWS2 zwischen ${low} und ${high}`),
    missing: (count) => (count === 0 ? "Alle Teile bekannt" : count === 1 ? "1 Teil fehlt: als Bereich gezeigt" : `${count} Teile fehlen: als Bereich gezeigt`),
    part: (name) => PARTS[name] ?? readable(name),
    points: (points) => (points === 1 ? "1 Punkt" : `${points} Punkte`),
    none: "Noch kein Wert.",
    missingPart: "fehlt",
    other: (name, low, high) => `${name === "qsofa" ? "qSOFA" : name.toUpperCase()} ${low === high ? low : `${low} bis ${high}`}`,
  },

  rhythm: {
    title: "Rhythmus",
    entropy: "Entropie",
    cut: (value) => `Schwelle ${value}`,
    beats: (count) => `${count} Schläge`,
    none: "Keine Daten von Schlag zu Schlag.",
    scale: (value, cut) => `Entropie ${value}, Schwelle ${cut}`,
  },

  devices: {
    title: "Geräte",
    none: "Noch kein Gerät gesehen.",
    battery: "Batterie",
    batteryUnknown: "Batterie unbekannt",
    contact: (on) => (on === null ? "Kontakt unbekannt" : on ? "am Körper" : "nicht am Körper"),
    lastReading: (age) => `letzter Messwert vor ${age}`,
    noReading: "noch kein Messwert",
    unnamed: "Gerät ohne Namen",
    source: (source) => `Quelle ${source}`,
    link: (link) => (link === "" ? "Verbindung unbekannt" : (LINKS[link] ?? readable(link).toLowerCase())),
  },

  gateways: {
    title: "Gateway und Weg der Daten",
    none: "Noch kein Gateway gehört.",
    silent: "schweigt",
    heard: (age) => `gehört vor ${age}`,
    neverHeard: "nie gehört",
    decoded: "Am Gateway gelesen",
    applied: "Im Zwilling angekommen",
    lost: "Erklärt verloren",
    duplicated: "Doppelte abgewiesen",
    quarantined: "In Quarantäne",
    buffer: "Warten am Gateway",
    complete: "angekommen",
    share: (percent) => `${percent} der gelesenen Messwerte angekommen`,
  },

  ask: {
    cancel: "Abbrechen",
    close: "Schließen",
    failed: (why) => `Nicht geschehen: ${why}`,
  },

  acts: {
    acknowledge: "Quittieren",
    acknowledgeAll: (count) => `${count} quittieren`,
    acknowledged: "Quittiert.",
    note: "Notiz (freiwillig)",
    noteHint: "Was Sie getan haben oder tun werden. Bleibt unter Ihrem Namen beim Alarm.",
    comment: "Bemerken",
    commentShort: "Bemerken",
    commentText: "Bemerkung",
    commentHint: "Bleibt unter Ihrem Namen beim Alarm. Sie ist keine Antwort: wer gerufen werden soll, wird weiter gerufen.",
    commentSave: "Bemerkung sichern",
    commented: "Bemerkung gesichert.",
    take: "Übernehmen",
    takeAll: "Selbst übernehmen",
    taken: "Übernommen: Sie sind zuständig.",
    assign: "Zuweisen",
    assignShort: "Zuweisen",
    assignTo: "Wer zuständig ist",
    assignHint: "Ein Name, wie dieser Mensch sich anmeldet.",
    assigned: (who) => `${who} zugewiesen.`,
    release: "Niemand im Besonderen",
    released: "Freigegeben.",
    silence: "Zustand stummschalten",
    silenceShort: "Stumm",
    silenceMeans: "Er wird weiter ausgelöst und gezeigt, und niemand wird gerufen, bis die Zeit endet, jemand ihn weckt oder er hohe Priorität bekommt.",
    silenceNever: "Nichts schaltet einen Zustand stumm, solange er hohe Priorität hat.",
    silenceFor: "Wie lange",
    until: (span, clock) => `${span}, bis ${clock}`,
    reason: "Grund",
    reasonHint: "Nötig. Alle sehen ihn, die den Alarm sehen.",
    silenced: "Stummgeschaltet.",
    wake: "Wecken",
    woken: "Wieder zu hören.",
    more: (count) => `und ${count} weitere`,
  },

  filters: {
    search: "Name oder Pseudonym suchen",
    filter: "Filter",
    filterOn: "Filter (an)",
    kept: "Ihre Filter",
    save: "Filter behalten",
    saveTitle: "Filter behalten",
    saveAbout: "Bleibt in diesem Browser, für Sie. Gesuchte Wörter werden nicht behalten.",
    name: "Name des Filters",
    saved: (name) => `Filter ${name} behalten.`,
    forget: (name) => `Filter ${name} vergessen`,
    clear: "Alle zeigen",
    facets: {
      alerts: { name: "Alarme", words: { any: "mit oder ohne", open: "mit offenen Alarmen", waiting: "warten auf jemanden" } },
      category: { name: "Was", words: { any: "Körper oder Technik", physiological: "der Körper", technical: "die Technik" } },
      owner: { name: "Zuständig", words: { any: "jemand oder niemand", mine: "ich", nobody: "niemand" } },
      data: { name: "Daten", words: { any: "frisch oder veraltet", stale: "veraltet", fresh: "frisch" } },
    },
  },

  sound: {
    title: "Alarmton",
    on: "an",
    off: "Ton aus",
    blocked: "Ton noch aus",
    paused: (span) => `Ton Pause ${span}`,
    switchOn: "Der Ton ist aus, bis Sie klicken oder eine Taste drücken",
    pause: "Alarmton für zwei Minuten anhalten. Ein neuer Alarm hoher Priorität beendet die Pause",
    resume: "Alarm wieder hören",
  },

  settings: {
    title: "Einstellungen",
    about: "Bleiben in diesem Browser. Sie ändern, was Sie sehen, nicht, was die Zentrale tut.",
    language: "Sprache",
    languages: { auto: "Wie der Browser", en: "English", de: "Deutsch" },
    glucose: "Blutzucker",
    temperature: "Temperatur",
    zone: "Zeiten",
    zones: { viewer: "In meiner Zeitzone", patient: "Auf der Seite eines Patienten in seiner", utc: "In UTC" },
    zoneHint: "Die Zeitzone des Patienten muss bei seinen Angaben stehen.",
    flash: "Hohe Priorität blinkt",
    soundHint: "Aus ist für einen Raum, in dem ein anderer Bildschirm klingt. Die Kopfzeile sagt es, solange er aus ist.",
    keys: "Befehle mit einzelnen Tasten",
    keysHint: "? zeigt sie.",
    onOff: { on: "An", off: "Aus" },
  },

  keys: {
    title: "Tasten",
    about: "Sie gelten der Zeile oder Karte, die den Fokus hat.",
    nothingHere: "Erst mit J und K eine Zeile oder Karte wählen.",
    commands: {
      next: "Nächste Zeile oder Karte",
      previous: "Vorige Zeile oder Karte",
      urgent: "Den Patienten öffnen, der am dringendsten wartet",
      acknowledge: "Quittieren",
      take: "Übernehmen",
      assign: "Zuweisen",
      comment: "Bemerken",
      silence: "Zustand stummschalten",
      quiet: "Ton anhalten oder weiter hören",
      search: "Arbeitsliste durchsuchen",
      worklist: "Zur Arbeitsliste",
      alerts: "Zu den Alarmen",
      handover: "Zur Übergabe",
      wall: "Zur Wandansicht",
      help: "Diese Liste",
    },
  },

  handover,
  paper,
  together,

  wall: {
    title: "Wandansicht",
    back: "Arbeitsliste",
    watched: (all, open, silent) => `${all} überwacht · ${open} mit Alarmen · ${silent} ohne frische Daten`,
    others: (count) => `+${count}`,
    nobody: "niemand zuständig",
    more: (count, high) => `${count} weitere mit Alarmen haben hier keinen Platz${high > 0 ? `, davon ${high} mit hoher Priorität` : ""}: siehe Arbeitsliste`,
  },

  facts: {
    title: "Was man weiß",
    none: "Noch nichts aufgeschrieben.",
    failed: (why) => `Konnte nicht geladen werden: ${why}`,
    add: "Aufschreiben",
    addAbout: "Was kein Sensor misst. Es bleibt unter Ihrem Namen und kann ändern, was Werte und Alarme bedeuten.",
    kind: "Was es ist",
    kinds: {
      1: "Erkrankung",
      2: "Medikament",
      3: "Labor",
      4: "Genetik",
      5: "Bildgebung",
      6: "Vom Patienten berichtet",
      7: "Geburtsjahr",
      8: "Geschlecht",
      9: "Schwangerschaft",
      10: "Sauerstoffziel",
      11: "Sauerstoffgabe",
      12: "Bewusstsein (ACVPU)",
      13: "Zeitzone",
      14: "Eigene Grenze",
      15: "Hautton (Monk-Skala, 1 bis 10)",
    },
    other: "Anderes",
    label: "Name",
    code: "Code (freiwillig)",
    codeHint: "System|Code, etwa http://hl7.org/fhir/sid/icd-10|I48.0, http://www.whocc.no/atc|B01AA03, http://loinc.org|2823-3 mit seiner Einheit; nur was einen Code hat, wirkt auf Meldungen",
    value: "Zahl",
    unit: "Einheit",
    text: "Worte",
    textHint: "Sauerstoffziel: 88-92 oder 94-98. Bewusstsein: A, C, V, P oder U. Zeitzone: etwa Europe/Berlin. Eigene Grenze: heart_rate_low (31 bis 60), heart_rate_high (100 bis 149) oder oxygen_saturation_low (89 bis 95), mit der Zahl.",
    save: "Sichern",
    saved: "Aufgeschrieben.",
    retract: "Zurücknehmen",
    retractAbout: "Für das, was falsch war. Was es geändert hat, wird zurückgeändert.",
    retracted: "Zurückgenommen.",
    since: (when) => `seit ${when}`,
    fromTo: (from, to) => `${from} bis ${to}`,
    changes: (effect) => `→ ${effect}`,
  },

  standings: {
    title: "Modelle für diese Person",
    about: "Grenzwerte sowie zu niedriger oder zu hoher Zucker melden immer. Ein Modell im Schatten wird bewertet und meldet nichts.",
    standing: { live: "meldet", shadow: "im Schatten", off: "aus" },
    unsaid: (times) => (times === 1 ? "(hätte einmal gemeldet)" : `(hätte ${times}-mal gemeldet)`),
  },

  waves: {
    title: "Kurven",
    which: "Welche Kurve",
    names: { 1: "EKG", 2: "Pulskurve (PPG)", 3: "Beschleunigung" },
    other: "Kurve",
    back: "10 s zurück",
    ahead: "10 s weiter",
    newest: "Neueste",
    loading: "Suche Kurven",
    none: "Keine Kurve in diesen Sekunden.",
    failed: "Kurven konnten nicht geladen werden.",
    strip: (name, from, to, age) => `${name}, ${from} bis ${to}, endet vor ${age}; ein Strich des Rasters ist 0,2 s; die Höhe ist dem Streifen angepasst.`,
    spoken: (name, from, to) => `${name} von ${from} bis ${to}`,
  },

  signedOut: {
    title: "Sie sind nicht angemeldet",
    lead: "vitaltwin zeigt Patienten nur Menschen, die einen einmaligen Verweis bekommen haben.",
    how: "So kommen Sie hinein",
    steps: [
      "Bitten Sie, wer diese Zentrale betreibt, um einen einmaligen Verweis. Er entsteht mit dem Befehl unten, mit Ihrem Namen.",
      "Öffnen Sie den Verweis in diesem Browser. Er gilt einmal und für kurze Zeit.",
      "Der Browser warnt vielleicht vor dem Zertifikat: die Zentrale beglaubigt sich selbst. Vergleichen Sie den Fingerabdruck, der beim Verweis steht, bevor Sie weitergehen.",
    ],
    command: 'vitaltwin-aggregator --dir DIR sign-in "IHR NAME"',
    again: "Ich habe meinen Verweis geöffnet: noch einmal prüfen",
    unreachable: "Die Zentrale ist nicht zu erreichen. Neue Versuche laufen von selbst.",
  },

  signIn: {
    title: "Anmelden",
    lead: "Ihr einmaliger Verweis ist bereit. Er wird erst verbraucht, wenn Sie den Knopf drücken; eine Vorschau im Chat oder in der Post verbraucht ihn nicht.",
    noCode: "vitaltwin zeigt Patienten nur Menschen, die einen einmaligen Verweis bekommen haben. Öffnen Sie Ihren, oder tippen Sie den Code, der Ihnen vorgelesen wurde.",
    code: "Einmaliger Verweis oder Code",
    button: "Anmelden",
    facts: "Was geschieht",
    steps: [
      "Der Code geht an diese Zentrale und ist verbraucht.",
      "Ein Cookie, das nur diese Zentrale lesen kann, hält Sie angemeldet. Von Patienten wird in diesem Browser nichts gespeichert.",
      "Was Sie tun (etwa einen Alarm quittieren), bleibt unter Ihrem Namen.",
    ],
    certificate: "Hat der Browser vor dem Zertifikat gewarnt: vergleichen Sie seinen Fingerabdruck mit dem, der bei Ihrem Verweis steht. Stimmen sie nicht überein, schließen Sie diese Seite.",
    errors: {
      code: "Dieser Code gilt nicht: er wurde schon benutzt, ist zu alt, oder ein Teil fehlt. Bitten Sie um einen neuen Verweis.",
      many: "Von dieser Adresse kamen zu viele falsche Codes. Warten Sie eine Minute und versuchen Sie es dann noch einmal.",
      other: "Das Anmelden hat nicht geklappt. Bitten Sie um einen neuen Verweis.",
    },
  },
  fatal: "Diese Seite konnte nicht starten. Laden Sie sie neu; hilft das nicht, sagen Sie es dem Betreiber der Zentrale.",
};
