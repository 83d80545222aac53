// The card of the model that made an alert: what it computes, on what evidence, and where it is not to be trusted. In English, as written;
// loaded when somebody asks for it.

import { cardOf, type Piece } from "../card.ts";
import { h } from "../dom.ts";
import { texts } from "../texts.ts";
import type { Ask } from "./ask.ts";

const words = texts.together.card;

function shown(piece: Piece): HTMLElement {
  if (piece.is !== "table") return h("p", { class: `card-${piece.is}` }, piece.text);
  const [head = [], ...rows] = piece.rows;
  const titles = h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, cell)));
  // It may be wider than a phone: it scrolls by itself, with keys, too.
  return h("div", { class: "card-table", tabindex: "0", role: "region", "aria-label": words.table }, h("table", {}, h("thead", {}, titles), h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell)))))));
}

/** Opens the card of `model`; `hash`: of the definition that was used, which the card may know. */
export async function askCard(ask: Ask, model: string, hash: string): Promise<void> {
  const { default: cards } = await import("../../../twin/MODELS.md?raw");
  const card = cardOf(cards, model);
  const remark = card === null ? words.none(model) : !card.same ? words.other(model) : card.source.includes(hash) && hash !== "" ? words.same : words.changed;
  ask.open({
    title: card?.title ?? model,
    about: [remark, h("div", { class: "model-card", lang: "en" }, ...(card?.pieces ?? []).map(shown))],
    fields: [],
    confirm: null,
  });
}
