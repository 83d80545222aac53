// Deutsch, von Seiten auf Papier.

export const paper = {
  print: "Drucken oder als PDF sichern",
  about: (made: string, range: string, zone: string) => `Stand ${made} (${zone}). Verläufe: ${range}. Das Bild eines Augenblicks: Was später kam, steht nicht darauf.`,
  then: (when: string) => `Wie es um ${when} bekannt war; die neuesten Werte sind die von heute.`,
  made: (person: string, role: string, when: string, zone: string) => `Gedruckt von ${person}${role === "" ? "" : ` (${role})`} am ${when} (${zone}) · Forschungssoftware, kein Medizinprodukt`,
  test: "TESTDATEN: keine wirkliche Person",
  page: "Seite ",
  of: " von ",
  unsaid: "Es wurde nicht gedruckt, weil nicht aufgeschrieben werden konnte, wer druckt:",
};
