/** A memory for the rewriter: the same cell is run again more often than not. */
import { type CellSurroundings, type RewrittenCell, rewriteCell } from "./rewrite.js";

const MOST_CELLS = 32;
/** Longer cells are not kept. */
const LONGEST = 1 << 18;

/** Rewrites the cells of one session: the names that are taken there never change. */
export class RecentCells {
  /** By shadowed and imported names and source, the latest last. */
  readonly #cells = new Map<string, RewrittenCell>();

  /** As {@link rewriteCell}. A cell that depends on tsconfig.json is not remembered: that may change. */
  rewrite(source: string, { taken, shadowed, imported, legacy }: CellSurroundings): RewrittenCell {
    const key = `${[...shadowed].join(" ")}\n${[...imported].join(" ")}\n${source}`;
    let lasting = source.length <= LONGEST;
    const ask = () => {
      lasting = false;
      return legacy?.();
    };
    const cell = this.#cells.get(key) ?? rewriteCell(source, { taken, shadowed, imported, legacy: ask });
    this.#cells.delete(key);
    if (lasting) this.#cells.set(key, cell);
    if (this.#cells.size > MOST_CELLS) this.#forgetOldest();
    return cell;
  }

  #forgetOldest(): void {
    for (const key of this.#cells.keys()) {
      this.#cells.delete(key);
      return;
    }
  }
}
