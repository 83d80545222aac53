// Deutsch, von denen, die zusammen nach jemandem sehen: wer hinsieht, und was sie an die Verläufe schrieben.

export const lookers = {
  also: (names: string) => `Hier ist auch: ${names}`,
};

export const filters = {
  whose: "Für wen",
  mine: "Nur für mich, in diesem Browser",
  ofTeam: (team: string) => `Für alle vom Team ${team}`,
  about: "Für Sie bleibt er in diesem Browser, für ein Team bei der Zentrale unter Ihrem Namen. Gesuchte Wörter werden nicht behalten. Nennen Sie keinen Patienten.",
  full: (most: number) => `Sie behalten schon ${most} eigene Filter: Vergessen Sie erst einen.`,
  kept: (name: string, team: string) => `Das Team ${team} hat den Filter ${name}.`,
  by: (team: string, by: string) => `Für das Team ${team} behalten von ${by}`,
  forget: (name: string, team: string) => `Filter ${name} des Teams ${team} vergessen`,
  forgetAbout: "Er ist dann für das ganze Team weg.",
  forgetConfirm: "Vergessen",
  forgotten: (name: string, team: string) => `Das Team ${team} hat den Filter ${name} nicht mehr.`,
};

export const notes = {
  title: "Notizen an den Verläufen",
  add: "Notiz schreiben",
  about: "Sie steht an diesem Zeitpunkt in den Verläufen, unter Ihrem Namen, und in dem, was der Patient herunterladen kann. Sie ändert keine Regel.",
  when: "Wann",
  lasts: "Wie lange",
  moment: "ein Augenblick",
  kind: "Zu",
  all: "allen Verläufen",
  named: (number: number) => `Notiz ${number}`,
  fromTo: (from: string, to: string) => `${from} bis ${to}`,
  elsewhere: (count: number) => `${count === 1 ? "Eine weitere Notiz" : `${count} weitere Notizen`} außerhalb der gezeigten Zeit.`,
  spoken: (numbers: string) => `Notizen in der Liste darunter: ${numbers}.`,
};

export const replay = {
  title: "24 Stunden noch einmal",
  play: "Abspielen",
  pause: "Anhalten",
  next: "Nächstes Bild",
  speeds: "Tempo",
  speed: (minutes: number) => (minutes === 60 ? "1 Stunde je Sekunde" : `${minutes} Minuten je Sekunde`),
  end: "Beenden",
};

/** Each of them by itself, with figures. */
export const whatIf = {
  plain: (changes: string) => `Er wäre nicht gekommen mit: ${changes}.`,
  or: " oder ",
};

export const card = {
  open: (model: string) => `Karte des Modells ${model}`,
  none: (model: string) => `In dieser Ausgabe gibt es keine Karte von ${model}.`,
  other: (model: string) => `Die Karte einer anderen Fassung als ${model}, die diesen Alarm gab.`,
  same: "Diesen Alarm gab die Definition dieser Karte: ihr Hash steht darauf.",
  changed: "Diesen Alarm gab sie mit Grenzen dieser Zentrale oder dieses Menschen: ihr Hash steht nicht auf der Karte.",
  table: "Tabelle",
};
