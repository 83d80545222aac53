import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { cardOf } from "../src/card.ts";

const CARDS = readFileSync(new URL("../../../twin/MODELS.md", import.meta.url), "utf8");

test("a card is found by its model's name, as a chapter or as a point of one", () => {
  const thresholds = cardOf(CARDS, "thresholds/3");
  assert.equal(thresholds?.title, "Thresholds: thresholds/3");
  assert.ok(thresholds.same && thresholds.source.includes("d5f8ba41c86170a76a8f04aad9cc0064"));
  assert.ok(thresholds.pieces.some((piece) => piece.is === "point" && piece.text.startsWith("Definition. Ten-second trimmed means")));
  const fever = cardOf(CARDS, "fever/1");
  assert.equal(fever?.title, "Fever: fever/1");
  assert.match(fever.pieces.map((piece) => (piece.is === "table" ? "" : piece.text)).join(" "), /^hash c95d.* another site than usual looks like fever or hides it\.$/);
  assert.ok(!fever.source.includes("NightSignal"));
  for (const { pieces } of [thresholds, fever]) assert.ok(pieces.every((piece) => piece.is === "table" || !/\*\*|`/.test(piece.text)));
});

// The names are read where the models have them: a list here would forget the next version.
const SOURCES = new URL("../../../twin/src/", import.meta.url);
const MODELS = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".rs") && !file.includes("tests"))
  .flatMap((file) => [...readFileSync(new URL(file, SOURCES), "utf8").matchAll(/^(?!\s*\/\/).*"([a-z][a-z0-9-]*\/\d+)"/gm)])
  .map(([, model = ""]) => model);

test("every model has a card of the version that it has", () => {
  for (const model of ["thresholds/3", "fever/1", "news2/2"]) assert.ok(MODELS.includes(model), `${model} was not found in the sources`);
  for (const model of MODELS) {
    const card = cardOf(CARDS, model);
    assert.ok(card?.same && card.pieces.length > 0, model);
  }
});

test("of another version the card there is says so; of no model there is none", () => {
  assert.equal(cardOf(CARDS, "thresholds/9")?.same, false);
  assert.equal(cardOf(CARDS, "horoscope/1"), null);
  assert.equal(cardOf(CARDS, ""), null);
});

test("tables keep their cells", () => {
  const card = cardOf("## X: `x/1`\n\nWords *here*.\n\n| a | b |\n|---|---|\n| `1` | **2** |\n", "x/1");
  assert.deepEqual(card?.pieces, [
    { is: "words", text: "Words here." },
    { is: "table", rows: [["a", "b"], ["1", "2"]] },
  ]);
});
