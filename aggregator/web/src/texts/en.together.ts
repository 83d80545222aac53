// English, of those who work together at one patient: who looks, and what they wrote at the trends.

export const lookers = {
  also: (names: string) => `Also looking: ${names}`,
};

export const filters = {
  whose: "For whom",
  mine: "Only for me, in this browser",
  ofTeam: (team: string) => `For all of team ${team}`,
  about: "For you it is kept in this browser, for a team at the centre under your name. Words that you search for are not kept. Do not name a patient.",
  full: (most: number) => `You keep ${most} filters of your own already: forget one first.`,
  kept: (name: string, team: string) => `Team ${team} has the filter ${name}.`,
  by: (team: string, by: string) => `Kept for team ${team} by ${by}`,
  forget: (name: string, team: string) => `Forget filter ${name} of team ${team}`,
  forgetAbout: "It is gone for all of the team.",
  forgetConfirm: "Forget it",
  forgotten: (name: string, team: string) => `Team ${team} no longer has the filter ${name}.`,
};

export const notes = {
  title: "Notes at the trends",
  add: "Write a note",
  about: "It is drawn at that moment on the trends, kept under your name, and in what the patient can download. It changes no rule.",
  when: "When",
  lasts: "For how long",
  moment: "a moment",
  kind: "About",
  all: "all trends",
  named: (number: number) => `note ${number}`,
  fromTo: (from: string, to: string) => `${from} to ${to}`,
  elsewhere: (count: number) => `${count === 1 ? "1 more note" : `${count} more notes`} outside of the time shown.`,
  spoken: (numbers: string) => `Notes in the list below: ${numbers}.`,
};

export const replay = {
  title: "Replay 24 hours",
  play: "Play",
  pause: "Pause",
  next: "Next picture",
  speeds: "Speed",
  speed: (minutes: number) => (minutes === 60 ? "1 hour a second" : `${minutes} minutes a second`),
  end: "End the replay",
};

/** Each of them by itself, with figures. */
export const whatIf = {
  plain: (changes: string) => `It would not have come with: ${changes}.`,
  or: " or ",
};

export const card = {
  open: (model: string) => `Card of the model ${model}`,
  none: (model: string) => `There is no card of ${model} in this release.`,
  other: (model: string) => `The card of another version than ${model}, which made this alert.`,
  same: "This alert was made by the definition of this card: its hash is on it.",
  changed: "This alert was made with limits of this centre or this person: its hash is not on the card.",
  table: "Table",
};
