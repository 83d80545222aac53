// German, of who is on duty.

import type { Duty } from "../model.ts";
import type { en } from "./en.ts";

const DUTY: Readonly<Record<Duty, string>> = { nurse: "Pflege", doctor: "Arzt", supervisor: "Leitung" };

export const roster: (typeof en)["roster"] = {
  title: "Dienstplan",
  about: "Wer wegen der Patienten eines Teams zuerst gerufen wird. Wo auf einer Stufe niemand Dienst hat, wird sofort die nächste gerufen.",
  duty: (duty) => DUTY[duty],
  now: "Jetzt",
  then: "Danach",
  from: "Von",
  until: "Bis",
  people: "Im Dienst",
  nobody: "Niemand",
  takeover: "Übernommen",
  columns: "Dienst",
  shift: (name) => (name === "" ? "" : ` (${name})`),
  cannot: (name) => `${name} (kann nicht gerufen werden)`,
  none: "Dieses Team hat keinen Dienstplan: Gerufen wird, wer in Pflege, Arztdienst oder Leitung den Patienten sieht.",
  noTeams: "Sie gehören noch zu keinem Team.",
  unread: "Dieser Dienstplan ist hier nicht lesbar; gerufen wird ohne ihn.",
  taken: (by, clock) => `von ${by}, ${clock}`,
  notTaken: (leaving) => (leaving.length === 0 ? "noch nicht" : `noch nicht, von ${leaving.join(", ")}`),
  notNeeded: "nicht nötig",
  take: "Ich habe übernommen",
  takeFor: (team, duty) => `Ich habe übernommen: ${DUTY[duty]}, ${team}`,
  takeAbout: (team, duty, clock) => `${DUTY[duty]} im Team ${team}, ab ${clock}.`,
  takeFrom: (leaving) => (leaving.length === 0 ? "Vorher hatte niemand Dienst." : `Es gehen: ${leaving.join(", ")}.`),
  takeComing: (coming, me) => `Es kommen: ${coming.join(", ")}. Übernommen von ${me}.`,
  takeMeans: "Sie haben die Übergabe gelesen und wissen, was offen ist. Es bleibt unter Ihrem Namen.",
  takeInstead: "Sie sind für diese Schicht nicht eingeteilt: Sie übernehmen anstelle derer, die es sind.",
  tookOver: "Übernommen.",
  due: (team, duty, leaving) =>
    leaving.length === 0 ? `${DUTY[duty]}, ${team}: Ihre Schicht wartet darauf, dass Sie übernehmen.` : `${DUTY[duty]}, ${team}: Ihre Schicht wartet darauf, dass Sie von ${leaving.join(", ")} übernehmen.`,
  gaps: "Niemand im Dienst in den nächsten zwei Wochen",
  gap: (duty, from, until) => `${DUTY[duty]}: ${from} bis ${until}`,
  remarks: "Zu beachten",
  since: (clock, by) => `in Kraft seit ${clock}, durch ${by}`,
  edit: "Bearbeiten",
  document: (team) => `Dienstplan von ${team} (TOML)`,
  documentHint: "Wochenschichten nach der Uhr am Ort des Teams, und Ausnahmen nach Datum. Leer: kein Dienstplan.",
  check: "Prüfen",
  checking: "Wird geprüft",
  set: "In Kraft setzen",
  fine: (gaps) => (gaps === 0 ? "Er kann in Kraft gesetzt werden, und in den nächsten zwei Wochen ist jederzeit jemand im Dienst." : `Er kann in Kraft gesetzt werden. In den nächsten zwei Wochen ist ${gaps === 1 ? "einmal" : `${gaps}-mal`} niemand im Dienst.`),
  inForce: "Er ist in Kraft.",
  example: (team) => `format = "roster/1"
time_zone = "Europe/Berlin"

[[shifts]]
name = "Tag"
duty = "nurse"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "06:00"
until = "18:00"
people = [${team.map((name) => JSON.stringify(name)).join(", ")}]

[[exceptions]]
name = "Feiertag"
duty = "nurse"
from = "2027-12-24 14:00"
until = "2027-12-26 06:00"
people = []
`,
};
