// English, of what one shift tells the next.

export const handover = {
  title: "Handover",
  made: (when: string, who: string) => `${when}, for ${who}`,
  print: "Print",
  give: (count: number) => `Hand over mine (${count})`,
  nothing: "Nothing is open, nothing is silenced, and nothing ended in the last 12 hours.",
  parts: {
    unanswered: "Nobody answered",
    waiting: "Waiting for someone",
    taken: "Acknowledged and not over",
    silent: "Silent devices",
    said: "What patients said",
    silenced: "Silenced",
    over: "Ended in the last 12 hours",
  },
  since: (clock: string, age: string) => `since ${clock} (${age})`,
  noOwner: "nobody's in particular",
  said: (who: string, clock: string, words: string) => `${who}, ${clock}: ${words}`,
  saidOf: (count: number) => `Only of the first ${count} patients.`,
  nav: (count: number) => (count === 0 ? "Handover" : `Handover (${count})`),
  silenced: (who: string, condition: string, until: string, by: string, reason: string) => `${who}: ${condition}, until ${until}, by ${by}: ${reason}`,
};
