// What a message on a lock screen says, in German: nothing about any patient.

import type { push as english } from "./en.push.ts";

const PRIORITY: Readonly<Record<string, string>> = { high: "hoher", medium: "mittlerer", low: "niedriger" };
const DUTY: Readonly<Record<string, string>> = { nurse: "die Pflege", doctor: "den ärztlichen Dienst", supervisor: "die Leitung" };

export const push: typeof english = {
  title: (priority: string, duty: string): string => `Ein Alarm ${PRIORITY[priority] ?? priority} Priorität wartet auf ${DUTY[duty] ?? "Sie"}`,
  body: (time: string): string => `Seit ${time}. Öffnen Sie vitaltwin, und melden Sie sich an, um mehr zu sehen.`,
  test: "vitaltwin: ein Test",
  testData: "Testdaten",
};
