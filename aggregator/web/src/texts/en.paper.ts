// English, of pages on paper.

export const paper = {
  print: "Print or save as PDF",
  about: (made: string, range: string, zone: string) => `As of ${made} (${zone}). Trends: ${range}. A picture of one moment: what came later is not on it.`,
  then: (when: string) => `As it was known at ${when}; the newest values are those of today.`,
  made: (person: string, role: string, when: string, zone: string) => `Printed by ${person}${role === "" ? "" : ` (${role})`} on ${when} (${zone}) · research software, not a medical device`,
  test: "TEST DATA: no real person",
  page: "Page ",
  of: " of ",
  unsaid: "It was not printed, because who prints could not be written down:",
};
