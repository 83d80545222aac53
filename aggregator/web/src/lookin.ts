// Who else has which patient's page open: one stream, opened anew whenever another page is shown. A tab that nobody sees looks at nobody.

export type OpenLine = (patient: string, signal: AbortSignal) => void;

export class LookIn {
  readonly #open: OpenLine;
  #line: AbortController | null = null;
  #patient: string | null = null;

  /** `open`: opens the line for a patient's page; empty: for a page of nobody's. */
  constructor(open: OpenLine) {
    this.#open = open;
  }

  /** This page is shown; null: one of nobody's. */
  at(patient: string | null): void {
    const shown = patient ?? "";
    if (this.#line !== null && this.#patient === shown) return;
    this.leave();
    this.#patient = shown;
    this.#line = new AbortController();
    this.#open(shown, this.#line.signal);
  }

  /** Nobody is signed in, or nothing of patients is shown. */
  leave(): void {
    this.#line?.abort();
    this.#line = null;
    this.#patient = null;
  }
}
