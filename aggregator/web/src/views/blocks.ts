// A long list of rows in blocks: a block that is far from the screen is a piece of empty height and nothing else, so a
// list of thousands costs what can be seen of it. Rows that move from block to block stay the same elements.

import { h, reconcile } from "../dom.ts";
import type { Row } from "../store.ts";
import type { App } from "./parts.ts";
import { RowView } from "./row.ts";

const SIZE = 20;
/** Height of a row until a block was measured, pixels. */
const GUESS = 76;

/** All rows that are in the document, by patient, and who sees which block. */
export class Rows {
  readonly #app: App;
  readonly #views = new Map<string, RowView>();
  readonly #blocks = new Map<Element, Block>();
  readonly #stop = new AbortController();
  readonly #observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) this.#blocks.get(entry.target)?.see(entry.isIntersecting);
      this.prune();
    },
    { rootMargin: "700px" },
  );

  constructor(app: App) {
    this.#app = app;
    // Paper has no screen to be far from.
    window.addEventListener("beforeprint", () => this.#all(), { signal: this.#stop.signal });
  }

  #all(): void {
    for (const block of this.#blocks.values()) {
      block.see(true);
      // Looked at anew afterwards.
      this.#observer.unobserve(block.root);
      this.#observer.observe(block.root);
    }
  }

  watch(block: Block): void {
    this.#blocks.set(block.root, block);
    this.#observer.observe(block.root);
  }

  unwatch(block: Block): void {
    this.#observer.unobserve(block.root);
    this.#blocks.delete(block.root);
    block.root.remove();
  }

  /** The row of a patient, wherever it stood until now. */
  view(patient: string): RowView {
    let view = this.#views.get(patient);
    if (!view) this.#views.set(patient, (view = new RowView(patient, this.#app)));
    return view;
  }

  /** Lets go of rows that no block holds any more. */
  prune(): void {
    for (const [patient, view] of this.#views) {
      if (view.root.isConnected) continue;
      view.destroy();
      this.#views.delete(patient);
    }
  }

  destroy(): void {
    this.#stop.abort();
    this.#observer.disconnect();
    for (const view of this.#views.values()) view.destroy();
  }
}

/** The rows of one group. */
export class BlockList {
  readonly root = h("div", { class: "rows" });
  readonly #rows: Rows;
  readonly #blocks: Block[] = [];

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  place(members: readonly Row[]): void {
    const wanted = Math.ceil(members.length / SIZE);
    while (this.#blocks.length > wanted) this.#rows.unwatch(this.#blocks.pop()!);
    while (this.#blocks.length < wanted) {
      const block = new Block(this.#rows, this.#blocks.length === 0);
      this.#blocks.push(block);
      this.root.append(block.root);
      this.#rows.watch(block);
    }
    this.#blocks.forEach((block, i) => block.place(members.slice(i * SIZE, (i + 1) * SIZE), i * SIZE, members.length));
  }

  /** Brings what can be seen up to date. */
  refresh(): void {
    for (const block of this.#blocks) block.refresh();
  }
}

class Block {
  readonly root = h("ul", { class: "block" });
  readonly #rows: Rows;
  readonly #views = new Map<string, RowView>();
  #near: boolean;
  #members: readonly Row[] = [];
  #first = 0;
  #count = 0;
  #height: number | null = null;

  /** `near`: drawn before anybody knows whether it can be seen. */
  constructor(rows: Rows, near: boolean) {
    this.#rows = rows;
    this.#near = near;
  }

  place(members: readonly Row[], first: number, count: number): void {
    if (members.length !== this.#members.length) this.#height = null;
    this.#members = members;
    this.#first = first;
    this.#count = count;
    this.#draw();
  }

  refresh(): void {
    if (this.#near) this.#draw();
  }

  see(near: boolean): void {
    // The focus is never taken away with a row.
    const stays = near || this.root.contains(document.activeElement);
    if (stays === this.#near) return;
    if (!stays) this.#height = this.root.offsetHeight;
    this.#near = stays;
    this.#draw();
  }

  #draw(): void {
    const height = this.#near ? "" : `${this.#height ?? this.#members.length * GUESS}px`;
    if (this.root.style.height !== height) this.root.style.height = height;
    const members = this.#near ? this.#members : [];
    let place = this.#first;
    reconcile(
      this.root,
      this.#views,
      members,
      (row) => row.patient,
      (row) => this.#rows.view(row.patient),
      (view, row) => view.update(row, (place += 1), this.#count),
    );
  }
}
