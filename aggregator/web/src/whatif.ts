// The smallest change that would have avoided an alert, from the evidence that it carries. Pure. Null where the evidence does not say: nothing
// is guessed.

import type { Alert, Evidence } from "./model.ts";

export type WhatIf =
  /** One figure on the other side of its limit. `foreseen`: it was not there yet, and was expected to be. */
  | { readonly what: "limit"; readonly evidence: Evidence; readonly limit: number; readonly above: boolean; readonly foreseen: boolean }
  /** A score with so many points fewer, for example of these parts. */
  | { readonly what: "points"; readonly total: number; readonly fewer: number; readonly parts: readonly string[] };

/** NEWS2 as published: totals that call, and what one part alone may not reach (saturation and pulse have rules of their own for that). */
const CALLS = { urgent: 5, emergency: 7, alone: 3 } as const;
const WITH_OWN_RULES = ["oxygen saturation", "pulse"];
const POINTS = /^(.+) scores (\d)$/;

export function whatIf(alert: Alert): WhatIf | null {
  return alert.condition === "early_warning_score" ? fewerPoints(alert) : otherSide(alert);
}

function otherSide(alert: Alert): WhatIf | null {
  const grounds = alert.evidence.filter(({ value, limit }) => value !== null && limit !== null);
  const [first] = grounds.sort((a, b) => b.contribution - a.contribution);
  if (!first || first.value === null || first.limit === null) return null;
  const { value, limit } = first;
  const foreseen = alert.condition.endsWith("_falling");
  // What is foreseen to fall is on the good side yet.
  if (!foreseen && value === limit) return null;
  return { what: "limit", evidence: first, limit, above: foreseen || value < limit, foreseen };
}

function fewerPoints(alert: Alert): WhatIf | null {
  const parts: { name: string; points: number }[] = [];
  for (const { label } of alert.evidence) {
    const [, name, points] = POINTS.exec(label) ?? [];
    if (name === undefined) return null;
    parts.push({ name, points: Number(points) });
  }
  const total = parts.reduce((sum, { points }) => sum + points, 0);
  if (alert.priority === "high") return total < CALLS.emergency ? null : { what: "points", total, fewer: total - CALLS.emergency + 1, parts: most(parts) };
  const alone = parts.filter(({ name, points }) => points >= CALLS.alone && !WITH_OWN_RULES.includes(name)).map(({ name }) => name);
  const fewer = Math.max(alone.length, total - CALLS.urgent + 1);
  return fewer <= 0 ? null : { what: "points", total, fewer, parts: alone.length > 0 ? alone : most(parts) };
}

function most(parts: readonly { name: string; points: number }[]): string[] {
  const [first] = [...parts].sort((a, b) => b.points - a.points);
  return first ? [first.name] : [];
}
