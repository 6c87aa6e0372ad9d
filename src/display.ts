/**
 * How values show themselves: in a notebook through `[Symbol.for("Jupyter.display")]()`, which returns a mime bundle,
 * and in plain Node as text through `util.inspect.custom`. What a bundle holds beyond text is up to a presenter that the
 * application installs; this library knows no notebook.
 */

/** Representations of one value by mime type. */
export type MimeBundle = Readonly<Record<string, unknown>>;

/** Makes the rich representations of a value; undefined for a value that it does not know. */
export type Presenter = (value: object) => MimeBundle | undefined;

/** The symbol under which a notebook kernel asks a value for its mime bundle. */
export const displaySymbol: unique symbol = Symbol.for("Jupyter.display") as never;
const inspectSymbol: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

let presenter: Presenter | undefined;

/** Installs what makes rich representations, or with undefined removes it. The last one installed counts. */
export function setPresenter(next: Presenter | undefined): void {
  presenter = next;
}

/** A value's mime bundle: the presenter's, and always text/plain. A presenter that fails costs only its own part. */
export function bundleOf(value: object, text: string): MimeBundle {
  let rich: MimeBundle | undefined;
  try {
    rich = presenter?.(value);
  } catch (error) {
    console.warn(`A value could not be shown richly: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { "text/plain": text, ...rich };
}

/** Escape sequences around parts of a text, or none where colours are not wanted. */
export interface Ink {
  bold(text: string): string;
  dim(text: string): string;
  /** Green above zero, red below, by how large `share` (-1..1) is. */
  signed(text: string, share: number): string;
}

const plainInk: Ink = { bold: (text) => text, dim: (text) => text, signed: (text) => text };
const ansiInk: Ink = {
  bold: (text) => `\x1b[1m${text}\x1b[22m`,
  dim: (text) => `\x1b[2m${text}\x1b[22m`,
  signed: (text, share) => {
    if (!Number.isFinite(share) || Math.abs(share) < 0.05) return text;
    const strong = Math.abs(share) > 0.5;
    const colour = share > 0 ? (strong ? "32;1" : "32") : strong ? "31;1" : "31";
    return `\x1b[${colour}m${text}\x1b[39;22m`;
  },
};

/** Gives an object the ability to show itself as this text (and through the presenter); call before freezing it. */
export function showable<T extends object>(value: T, text: (value: T, ink: Ink) => string): T {
  Object.defineProperties(value, {
    [displaySymbol]: { value: () => bundleOf(value, text(value, plainInk)) },
    [inspectSymbol]: {
      value: (_depth: number, options: { readonly colors?: boolean } | undefined) =>
        text(value, options?.colors === true ? ansiInk : plainInk),
    },
  });
  return value;
}
