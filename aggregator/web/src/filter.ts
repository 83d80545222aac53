// Which rows of the worklist a viewer wants to see. Pure. What nobody took notice of at high priority is shown whatever
// the filter says. Filters are kept by name, for a viewer in the browser or for a team at the centre; the words that someone searches
// for are not: they may name a patient.

import type { Row } from "./store.ts";

export interface Filter {
  readonly alerts: "any" | "open" | "waiting";
  readonly category: "any" | "physiological" | "technical";
  readonly owner: "any" | "mine" | "nobody";
  readonly data: "any" | "stale" | "fresh";
}

export const ALL: Filter = { alerts: "any", category: "any", owner: "any", data: "any" };

export const FACETS: { readonly [Name in keyof Filter]: readonly Filter[Name][] } = {
  alerts: ["any", "open", "waiting"],
  category: ["any", "physiological", "technical"],
  owner: ["any", "mine", "nobody"],
  data: ["any", "stale", "fresh"],
};

export interface Seen {
  readonly row: Row;
  readonly name: string;
  readonly stale: boolean;
}

/** True for a row that no filter hides. */
export function neverHidden(row: Row): boolean {
  return row.alerts.some((alert) => alert.priority === "high" && alert.state === "active");
}

export function passes({ row, name, stale }: Seen, filter: Filter, search: string, me: string): boolean {
  const { alerts, group } = row;
  if (filter.alerts === "open" && alerts.length === 0) return false;
  if (filter.alerts === "waiting" && group !== "waiting") return false;
  if (filter.category !== "any" && !alerts.some((alert) => alert.category === filter.category)) return false;
  if (filter.owner === "mine" && !alerts.some((alert) => alert.owner === me)) return false;
  if (filter.owner === "nobody" && !alerts.some((alert) => alert.owner === "")) return false;
  if (filter.data !== "any" && stale !== (filter.data === "stale")) return false;
  const words = search.trim().toLowerCase();
  return words === "" || name.toLowerCase().includes(words) || row.patient.toLowerCase().includes(words);
}

export function same(a: Filter, b: Filter): boolean {
  return Object.keys(FACETS).every((name) => a[name as keyof Filter] === b[name as keyof Filter]);
}

export interface Named {
  readonly name: string;
  readonly filter: Filter;
}

/** At most so many, and names so long. */
export const MOST = 12;
export const LONGEST = 40;

/** What storage held, of `me`: whatever is not a filter is passed over. */
export function keptOf(stored: unknown, me: string): Named[] {
  const mine = isRecord(stored) ? stored[me] : null;
  if (!Array.isArray(mine)) return [];
  const found: Named[] = [];
  for (const one of mine.slice(0, MOST)) {
    if (!isRecord(one) || typeof one["name"] !== "string" || !isRecord(one["filter"])) continue;
    const filter = Object.fromEntries(
      Object.entries(FACETS).map(([facet, words]) => {
        const kept = (one["filter"] as Record<string, unknown>)[facet];
        return [facet, (words as readonly unknown[]).includes(kept) ? kept : "any"];
      }),
    ) as unknown as Filter;
    found.push({ name: one["name"].slice(0, LONGEST), filter });
  }
  return found;
}

/** What storage is to hold, with `mine` in place of what `me` had. */
export function keeping(stored: unknown, me: string, mine: readonly Named[]): Record<string, unknown> {
  return { ...(isRecord(stored) ? stored : {}), [me]: mine.slice(0, MOST) };
}

/** A filter that a team keeps at the centre. */
export interface TeamFilter extends Named {
  readonly team: string;
  /** Who kept it. */
  readonly by: string;
}

export interface TeamFilters {
  readonly filters: readonly TeamFilter[];
  /** Teams in which one may keep some. */
  readonly teams: readonly string[];
}

/** As the contract has it: "facet=word" of each that leaves something out. */
export function facetsOf(filter: Filter): string[] {
  return Object.entries(filter).flatMap(([facet, word]) => (word === "any" ? [] : [`${facet}=${word}`]));
}

/** Back again. A facet of a newer centre is passed over: more is shown then, never less. */
export function ofFacets(facets: readonly string[]): Filter {
  const filter: Record<string, string> = { ...ALL };
  for (const one of facets) {
    const [facet = "", word = ""] = one.split("=");
    if (!Object.hasOwn(FACETS, facet)) continue;
    if ((FACETS[facet as keyof Filter] as readonly string[]).includes(word)) filter[facet] = word;
  }
  return filter as unknown as Filter;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
