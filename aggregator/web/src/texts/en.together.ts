// English, of those who work together at one patient: who looks, and what they wrote at the trends.

export const lookers = {
  also: (names: string) => `Also looking: ${names}`,
};

export const filters = {
  whose: "For whom",
  mine: "Only for me, in this browser",
  ofTeam: (team: string) => `For all of team ${team}`,
  about: "For you it is kept in this browser, for a team at the centre under your name. Words that you search for are not kept. Do not name a patient.",
  kept: (name: string, team: string) => `Team ${team} has the filter ${name}.`,
  by: (team: string, by: string) => `Kept for team ${team} by ${by}`,
  forget: (name: string, team: string) => `Forget filter ${name} of team ${team}`,
  forgetAbout: "It is gone for all of the team.",
  forgetConfirm: "Forget it",
  forgotten: (name: string, team: string) => `Team ${team} no longer has the filter ${name}.`,
};
