// What a message on a lock screen says, in English: nothing about any patient.

const PRIORITY: Readonly<Record<string, string>> = { high: "high", medium: "medium", low: "low" };
const DUTY: Readonly<Record<string, string>> = { nurse: "the nurse", doctor: "the doctor", supervisor: "the supervisor" };

export const push = {
  title: (priority: string, duty: string): string => `An alert of ${PRIORITY[priority] ?? priority} priority waits for ${DUTY[duty] ?? "you"}`,
  body: (time: string): string => `Since ${time}. Open vitaltwin and sign in to see more.`,
  test: "vitaltwin: a test",
  testData: "Test data",
};
