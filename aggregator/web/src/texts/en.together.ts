// English, of those who work together at one patient: who looks, and what they wrote at the trends.

export const lookers = {
  also: (names: string) => `Also looking: ${names}`,
};
