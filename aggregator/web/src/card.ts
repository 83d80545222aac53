// One model's card out of the file that has all of them (`aggregator/twin/MODELS.md`): as plain pieces of text, without Markdown's marks. Pure.

export type Piece = { readonly is: "words" | "point"; readonly text: string } | { readonly is: "table"; readonly rows: readonly (readonly string[])[] };

export interface Card {
  readonly title: string;
  readonly pieces: readonly Piece[];
  /** It is the card of the very version that was asked for. */
  readonly same: boolean;
  /** All of it as written, in which hashes can be looked for. */
  readonly source: string;
}

const plain = (text: string) => text.replaceAll("**", "").replaceAll("`", "").replaceAll(/(^|\s)\*(\S[^*]*)\*/g, "$1$2").trim();

/** The card of `model`, such as "thresholds/3"; of another version where there is none of this; null: there is none. */
export function cardOf(cards: string, model: string): Card | null {
  const [name = ""] = model.split("/");
  if (name === "") return null;
  return found(cards, `\`${model}\``, true) ?? found(cards, `\`${name}/`, false);
}

function found(cards: string, mark: string, same: boolean): Card | null {
  // Small cards are points of a chapter that has several; their names stand in bold at the begin.
  for (const chapter of cards.split(/^(?=## )/m)) {
    const [head = "", ...rest] = chapter.split("\n");
    if (head.startsWith("## ") && head.includes(mark)) return card(plain(head.slice(3)), rest.join("\n"), same);
    for (const point of chapter.split(/^(?=\* \*\*)/m).slice(1)) {
      const [, title = "", text = ""] = /^\* \*\*([^*]+)\*\*([^]*)$/.exec(point) ?? [];
      if (title.includes(mark)) return card(plain(title), text.replace(/^,\s*/, "").split(/\n\n(?!\s)/)[0] ?? "", same);
    }
  }
  return null;
}

function card(title: string, source: string, same: boolean): Card {
  const pieces: Piece[] = [];
  for (const block of source.split(/\n\s*\n/)) {
    const lines = block.split("\n").filter((line) => line.trim() !== "");
    if (lines.length === 0) continue;
    if (lines.every((line) => line.trim().startsWith("|"))) {
      const rows = lines.filter((line) => !/^[\s|:-]+$/.test(line));
      pieces.push({ is: "table", rows: rows.map((line) => line.trim().slice(1, -1).split("|").map(plain)) });
      continue;
    }
    // A point goes on in indented lines until the next one.
    for (const part of lines.join("\n").split(/\n(?=\* )/)) {
      const text = plain(part.replace(/^\* /, "").replaceAll(/\s*\n\s*/g, " "));
      if (text !== "") pieces.push({ is: part.startsWith("* ") ? "point" : "words", text });
    }
  }
  return { title, pieces, same, source };
}
