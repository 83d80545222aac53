// Deutsch, von denen, die zusammen nach jemandem sehen: wer hinsieht, und was sie an die Verläufe schrieben.

export const lookers = {
  also: (names: string) => `Hier ist auch: ${names}`,
};
