// German, of what one shift tells the next.

import type { en } from "./en.ts";

export const handover: (typeof en)["handover"] = {
  title: "Übergabe",
  made: (when, who) => `${when}, für ${who}`,
  print: "Drucken",
  give: (count) => `Meine übergeben (${count})`,
  nothing: "Nichts ist offen, nichts ist stumm, und in den letzten 12 Stunden endete nichts.",
  parts: {
    unanswered: "Niemand hat reagiert",
    waiting: "Warten auf jemanden",
    taken: "Quittiert und nicht vorbei",
    silent: "Stille Geräte",
    said: "Was Patienten sagten",
    silenced: "Stumm",
    over: "In den letzten 12 Stunden beendet",
  },
  since: (clock, age) => `seit ${clock} (${age})`,
  noOwner: "niemand im Besonderen",
  said: (who, clock, words) => `${who}, ${clock}: ${words}`,
  saidOf: (count) => `Nur von den ersten ${count} Patienten.`,
  nav: (count) => (count === 0 ? "Übergabe" : `Übergabe (${count})`),
  silenced: (who, condition, until, by, reason) => `${who}: ${condition}, bis ${until}, von ${by}: ${reason}`,
};
