// Elements without a framework: made once, then changed only where something changed. Text is always set as
// text, never as HTML, and style attributes are never written (the Content-Security-Policy forbids both).

type Child = Node | string | null | false;
type Attribute = string | number | boolean | ((event: Event) => void);

/** `on...` attributes take listeners; `true` gives an empty attribute; `false` leaves it out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  apply(element, attributes, children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Attribute>> = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  apply(element, attributes, children);
  return element;
}

function apply(element: Element, attributes: Readonly<Record<string, Attribute>>, children: readonly Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  for (const child of children) if (child !== null && child !== false) element.append(child);
}

export function set(element: Element, name: string, value: string | number | boolean | null): void {
  if (value === false || value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

export function text(element: Element, value: string): void {
  if (element.textContent !== value) element.textContent = value;
}

export function toggle(element: Element, name: string, on: boolean): void {
  if (element.classList.contains(name) !== on) element.classList.toggle(name, on);
}

export function show(element: HTMLElement, on: boolean): void {
  if (element.hidden === on) element.hidden = !on;
}

/** Words for screen readers only. */
export function spoken(words: string): HTMLSpanElement {
  return h("span", { class: "sr" }, words);
}

/** `innerHTML = ""` without HTML. */
export function fill(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren(...children.filter((child): child is Node | string => child !== null && child !== false));
}

export interface Item {
  readonly root: Element;
}

/**
 * Brings the children of `parent` in line with `values`: makes, updates, moves and removes by key. Elements
 * that are already in place are not touched, so focus and selection stay where they are.
 */
export function reconcile<Value, View extends Item>(
  parent: Element,
  views: Map<string, View>,
  values: readonly Value[],
  key: (value: Value) => string,
  make: (value: Value) => View,
  update: (view: View, value: Value) => void,
): void {
  const wanted = new Set(values.map(key));
  for (const [id, view] of views) {
    if (!wanted.has(id)) {
      // Another list may have taken it meanwhile.
      if (view.root.parentElement === parent) view.root.remove();
      views.delete(id);
    }
  }
  const focused = document.activeElement;
  let place: Element | null = parent.firstElementChild;
  for (const value of values) {
    const id = key(value);
    let view = views.get(id);
    if (!view) {
      view = make(value);
      views.set(id, view);
    }
    update(view, value);
    if (view.root === place) place = place.nextElementSibling;
    else parent.insertBefore(view.root, place);
  }
  // Moving an element takes the focus from it.
  if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}
