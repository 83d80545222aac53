// English, of who is on duty.

import type { Duty } from "../model.ts";

const DUTY: Readonly<Record<Duty, string>> = { nurse: "Nurse", doctor: "Doctor", supervisor: "Supervisor" };

export const roster = {
  title: "Roster",
  about: "Who is called first about the patients of a team. Where nobody is on duty at a rung, the next one is called at once.",
  duty: (duty: Duty) => DUTY[duty],
  now: "Now",
  then: "Then",
  from: "From",
  until: "Until",
  people: "On duty",
  nobody: "Nobody",
  takeover: "Taken over",
  columns: "Duty",
  shift: (name: string) => (name === "" ? "" : ` (${name})`),
  cannot: (name: string) => `${name} (cannot be called)`,
  none: "This team has no roster: every nurse, doctor and supervisor who sees a patient is called.",
  noTeams: "You belong to no team yet.",
  unread: "This roster cannot be read here, and calls go on without it.",
  taken: (by: string, clock: string) => `by ${by}, ${clock}`,
  notTaken: (leaving: readonly string[]) => (leaving.length === 0 ? "not yet" : `not yet, from ${leaving.join(", ")}`),
  notNeeded: "not needed",
  take: "I have taken over",
  takeFor: (team: string, duty: Duty) => `I have taken over: ${DUTY[duty]}, ${team}`,
  takeAbout: (team: string, duty: Duty, clock: string) => `${DUTY[duty]} in team ${team}, from ${clock}.`,
  takeFrom: (leaving: readonly string[]) => (leaving.length === 0 ? "Nobody was on duty before." : `Leaving: ${leaving.join(", ")}.`),
  takeComing: (coming: readonly string[], me: string) => `Coming: ${coming.join(", ")}. Taken over by ${me}.`,
  takeMeans: "You have read the handover and know what is open. It stays under your name.",
  takeInstead: "You are not named for this shift: you take over in the stead of those who are.",
  tookOver: "Taken over.",
  due: (team: string, duty: Duty, leaving: readonly string[]) =>
    leaving.length === 0 ? `${DUTY[duty]}, ${team}: your shift waits for you to take over.` : `${DUTY[duty]}, ${team}: your shift waits for you to take over from ${leaving.join(", ")}.`,
  gaps: "Nobody on duty in the next two weeks",
  gap: (duty: Duty, from: string, until: string) => `${DUTY[duty]}: ${from} to ${until}`,
  remarks: "To look at",
  since: (clock: string, by: string) => `in force since ${clock}, by ${by}`,
  edit: "Edit",
  document: (team: string) => `Roster of ${team} (TOML)`,
  documentHint: "Weekly shifts by the clock where the team works, and exceptions by date. Empty: no roster.",
  check: "Check",
  checking: "Checking",
  set: "Put into force",
  fine: (gaps: number) => (gaps === 0 ? "It can be put into force, and somebody is on duty at every moment of the next two weeks." : `It can be put into force. In the next two weeks nobody is on duty ${gaps === 1 ? "once" : `${gaps} times`}.`),
  inForce: "It is in force.",
  example: (team: readonly string[]) => `format = "roster/1"
time_zone = "Europe/Berlin"

[[shifts]]
name = "day"
duty = "nurse"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "06:00"
until = "18:00"
people = [${team.map((name) => JSON.stringify(name)).join(", ")}]

[[exceptions]]
name = "holiday"
duty = "nurse"
from = "2027-12-24 14:00"
until = "2027-12-26 06:00"
people = []
`,
};
