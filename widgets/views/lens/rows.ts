import { formatNumber } from "../../channels.js";
import { css, type Palette } from "../../color.js";
import { episodeSum, type Lens } from "../../lens.js";
import { level, type Scale } from "../../scale.js";
import { isOdd, visibleText } from "../../tokenText.js";
import { h, perFrame } from "../dom.js";

/** What the rows are to show: episodes in order, a colour for every token, and which tokens stand back. */
export interface RowsPicture {
  /** Episodes, in the order in which they are shown. */
  readonly order: readonly number[];
  readonly column: Float32Array;
  readonly scale: Scale;
  readonly palette: Palette;
  /** Tokens that match the filter; undefined without a filter. */
  readonly matches: Uint8Array | undefined;
  /** Tokens that the clip stops. */
  readonly clipped: Uint8Array | undefined;
}

/** What a person does in the rows. */
export interface RowsEvents {
  hover(token: number | undefined): void;
  choose(token: number): void;
}

/** A stretch of one episode that is drawn as one block; long episodes have several. */
interface Block {
  readonly episode: number;
  /** Place of the episode in the order shown, from 0. */
  readonly place: number;
  readonly from: number;
  readonly to: number;
}

const blockTokens = 256;
const longPrompt = 700;
const overscan = 240;

/**
 * The episodes as running text. Only what is near the visible part exists in the document, so that 64 thousand tokens
 * paint as quickly as 600; a repaint touches only those too.
 */
export class Rows {
  readonly element: HTMLElement;
  readonly #lens: Lens;
  readonly #above = h("div", { "aria-hidden": "true" });
  readonly #below = h("div", { "aria-hidden": "true" });
  readonly #inside: HTMLElement;
  readonly #refresh: () => void;
  readonly #maxScore: number;
  #picture: RowsPicture;
  #blocks: Block[] = [];
  #heights = new Float64Array(0);
  #measured = new Uint8Array(0);
  #shown = new Map<number, HTMLElement>();
  #cursor = 0;
  #pinned: number | undefined;
  #width = 0;
  #characterWidth = 7.8;
  #lineHeight = 25;

  constructor(lens: Lens, picture: RowsPicture, label: string, events: RowsEvents, signal: AbortSignal) {
    this.#lens = lens;
    this.#picture = picture;
    this.#maxScore = lens.scores.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;
    this.#inside = h("div", { class: "ps-inside", role: "rowgroup" });
    this.element = h(
      "div",
      { class: "ps-rows", role: "grid", tabindex: "0", "aria-label": label, "aria-colcount": "-1" },
      this.#above,
      this.#inside,
      this.#below,
    );
    this.#refresh = perFrame(() => this.#fill(), signal);
    this.element.addEventListener("scroll", this.#refresh, { signal, passive: true });
    this.element.addEventListener("pointerover", (event) => events.hover(tokenOf(event.target)), { signal });
    this.element.addEventListener("pointerleave", () => events.hover(undefined), { signal });
    this.element.addEventListener(
      "click",
      (event) => {
        const token = tokenOf(event.target);
        if (token !== undefined && (getSelection()?.isCollapsed ?? true)) events.choose(token);
      },
      { signal },
    );
    const resized = new ResizeObserver(() => {
      const width = this.element.clientWidth;
      if (width === 0 || Math.abs(width - this.#width) < 1) return;
      this.#width = width;
      this.#estimate();
      this.#rebuild();
    });
    resized.observe(this.element);
    signal.addEventListener("abort", () => resized.disconnect());
    this.#arrange();
  }

  /** Number of elements that stand for tokens at the moment (for measurements). */
  get drawn(): number {
    return this.#inside.querySelectorAll(".ps-t").length;
  }

  /** Shows another picture. Colours alone are repainted in place; another order or filter rebuilds what is visible. */
  show(picture: RowsPicture): void {
    const sameOrder = picture.order === this.#picture.order;
    this.#picture = picture;
    if (!sameOrder) {
      this.#arrange();
      this.element.scrollTop = 0;
      this.#rebuild();
      return;
    }
    for (const [index, row] of this.#shown) {
      const block = this.#blocks[index];
      if (block) this.#paintRow(row, block);
    }
  }

  /** Moves the roving tab stop. `focus` also brings the token into view and gives it the keyboard. */
  point(token: number, pinned: number | undefined, focus: boolean): void {
    const previous = [this.#cursor, this.#pinned];
    this.#cursor = token;
    this.#pinned = pinned;
    if (focus) this.reveal(token);
    for (const changed of new Set([...previous, token, pinned])) {
      const element = changed === undefined ? undefined : this.#find(changed);
      if (element && changed !== undefined) this.#mark(element, changed);
    }
    for (const [index, row] of this.#shown) {
      const block = this.#blocks[index];
      row.toggleAttribute("data-current", block?.episode === this.#lens.episodeOf(token));
    }
    this.#tabStop();
    if (focus) (this.#find(token) ?? this.element).focus({ preventScroll: true });
  }

  /** Scrolls so that a token is visible. */
  reveal(token: number): void {
    const index = this.#blocks.findIndex((block) => token >= block.from && token < block.to);
    if (index < 0) return;
    if (!this.#shown.has(index)) {
      this.element.scrollTop = Math.max(0, this.#top(index) - this.element.clientHeight / 3);
      this.#fill();
    }
    const box = this.#find(token)?.getBoundingClientRect();
    const view = this.element.getBoundingClientRect();
    if (!box) return;
    if (box.top < view.top + 4) this.element.scrollTop -= view.top - box.top + 24;
    else if (box.bottom > view.bottom - 4) this.element.scrollTop += box.bottom - view.bottom + 24;
    this.#fill();
  }

  #arrange(): void {
    const { offsets } = this.#lens;
    this.#blocks = [];
    this.#picture.order.forEach((episode, place) => {
      const end = offsets[episode + 1] ?? 0;
      let from = offsets[episode] ?? 0;
      do {
        const to = Math.min(end, from + blockTokens);
        this.#blocks.push({ episode, place, from, to });
        from = to;
      } while (from < end);
    });
    this.#estimate();
    this.element.setAttribute("aria-rowcount", String(this.#blocks.length));
  }

  /** Guesses every block's height from its number of characters; what is drawn is measured. */
  #estimate(): void {
    const columns = Math.max(10, ((this.#width || 800) - 188) / this.#characterWidth);
    this.#measured = new Uint8Array(this.#blocks.length);
    this.#heights = Float64Array.from(this.#blocks, ({ episode, from, to }) => {
      const { offsets, prompts } = this.#lens;
      let characters = to === offsets[episode + 1] ? 6 : 0;
      if (from === offsets[episode]) characters += Math.min(longPrompt, prompts[episode]?.length ?? 0);
      for (let i = from; i < to; i++) characters += this.#lens.textOf(i).length;
      return Math.max(1, Math.ceil((characters * 1.03) / columns)) * this.#lineHeight + 15;
    });
  }

  #top(index: number): number {
    let top = 0;
    for (let i = 0; i < index; i++) top += this.#heights[i] ?? 0;
    return top;
  }

  /** Draws what is visible anew; the keyboard stays in the list. */
  #rebuild(): void {
    const focused = this.element.contains(document.activeElement);
    for (const row of this.#shown.values()) row.remove();
    this.#shown.clear();
    this.#fill();
    if (focused) (this.#find(this.#cursor) ?? this.element).focus({ preventScroll: true });
  }

  #fill(): void {
    const view = this.element.clientHeight;
    if (view === 0) return;
    for (let round = 0; round < 4; round++) {
      const top = this.element.scrollTop - overscan;
      const bottom = this.element.scrollTop + view + overscan;
      let at = 0;
      let first = this.#blocks.length;
      let last = -1;
      let before = 0;
      for (let i = 0; i < this.#blocks.length; i++) {
        const height = this.#heights[i] ?? 0;
        if (at + height > top && at < bottom) {
          if (first > i) {
            first = i;
            before = at;
          }
          last = i;
        }
        at += height;
      }
      if (!this.#draw(first, last, before, at)) break;
    }
    this.#tabStop();
  }

  /** Makes exactly the blocks `first … last` exist. True when a measured height differed from its guess. */
  #draw(first: number, last: number, before: number, total: number): boolean {
    const focused = this.#inside.contains(document.activeElement);
    for (const [index, row] of this.#shown) {
      if (index >= first && index <= last) continue;
      row.remove();
      this.#shown.delete(index);
    }
    if (focused && !this.#inside.contains(document.activeElement)) this.element.focus({ preventScroll: true });
    let previous: HTMLElement | null = null;
    let visible = 0;
    for (let i = first; i <= last; i++) {
      let row = this.#shown.get(i);
      if (!row) {
        row = this.#build(i);
        this.#shown.set(i, row);
        if (previous) previous.after(row);
        else this.#inside.prepend(row);
      }
      previous = row;
    }
    let changed = false;
    for (let i = first; i <= last; i++) {
      const row = this.#shown.get(i);
      if (row && !this.#measured[i]) {
        const height = row.getBoundingClientRect().height;
        changed ||= Math.abs(height - (this.#heights[i] ?? 0)) > 1;
        this.#heights[i] = height;
        this.#measured[i] = 1;
      }
      visible += this.#heights[i] ?? 0;
    }
    this.#above.style.height = `${before}px`;
    this.#below.style.height = `${Math.max(0, total - before - visible)}px`;
    return changed;
  }

  #build(index: number): HTMLElement {
    const block = this.#blocks[index] as Block;
    const { offsets, prompts, ends } = this.#lens;
    const begins = block.from === offsets[block.episode];
    const finishes = block.to === offsets[block.episode + 1];
    const text = h("div", { class: "ps-text" });
    if (begins) {
      const prompt = prompts[block.episode] ?? "";
      const cut = prompt.length > longPrompt;
      text.append(
        h(
          "span",
          { class: "ps-prompt", role: "gridcell" },
          (cut ? "… " : "") + visibleText(cut ? prompt.slice(-longPrompt) : prompt),
        ),
      );
    }
    for (let i = block.from; i < block.to; i++) {
      const own = this.#lens.textOf(i);
      const odd = isOdd(own);
      text.append(
        h(
          "span",
          { class: odd ? "ps-t ps-odd" : "ps-t", role: "gridcell", tabindex: "-1", "data-i": i },
          visibleText(own) || "∅",
        ),
      );
    }
    if (finishes) {
      const stopped = ends[block.episode] === "stop";
      text.append(
        " ",
        h(
          "span",
          {
            class: stopped ? "ps-end" : "ps-end ps-cut",
            role: "gridcell",
            title: stopped
              ? "the response ended by itself, at an end-of-sequence token"
              : "the response was cut at the longest length; it has no end-of-sequence token",
          },
          stopped ? "eos" : "cut",
        ),
      );
    }
    const row = h(
      "div",
      {
        class: begins ? "ps-row" : "ps-row ps-more",
        role: "row",
        "aria-rowindex": index + 1,
        "data-episode": block.episode,
      },
      h(
        "div",
        { class: "ps-number", role: "rowheader", "aria-label": `episode ${block.episode + 1}` },
        begins ? String(block.episode + 1) : "⋮",
      ),
      h("div", { class: "ps-score", role: "gridcell" }),
      text,
    );
    row.toggleAttribute("data-current", block.episode === this.#lens.episodeOf(this.#cursor));
    this.#paintRow(row, block);
    return row;
  }

  #paintRow(row: HTMLElement, block: Block): void {
    if (block.from === this.#lens.offsets[block.episode]) this.#paintScore(row, block.episode);
    for (const element of row.querySelectorAll<HTMLElement>(".ps-t")) {
      this.#paint(element, Number(element.dataset.i));
    }
  }

  #paint(element: HTMLElement, token: number): void {
    const { column, scale, palette, matches, clipped } = this.#picture;
    const counts = this.#lens.mask[token] === 1;
    const value = column[token] ?? Number.NaN;
    const shade = level(scale, value);
    const away = matches !== undefined && !matches[token];
    const plain = !counts || away || shade === 0 || Number.isNaN(shade);
    if (plain) {
      element.style.backgroundColor = "";
      element.style.color = "";
    } else {
      const swatch = palette.at(shade);
      element.style.backgroundColor = css(swatch.background);
      element.style.color = css(swatch.ink);
    }
    element.classList.toggle("ps-away", away || !counts);
    element.classList.toggle("ps-broken", counts && !Number.isFinite(value));
    element.classList.toggle("ps-match", matches?.[token] === 1);
    element.classList.toggle("ps-clip", clipped?.[token] === 1);
    this.#mark(element, token);
  }

  #mark(element: HTMLElement, token: number): void {
    element.classList.toggle("ps-cursor", token === this.#cursor);
    element.classList.toggle("ps-pin", token === this.#pinned);
    if (token === this.#cursor) element.setAttribute("aria-selected", "true");
    else element.removeAttribute("aria-selected");
  }

  #paintScore(row: HTMLElement, episode: number): void {
    const cell = row.querySelector<HTMLElement>(".ps-score");
    if (!cell) return;
    const { scores, offsets } = this.#lens;
    const { column, scale } = this.#picture;
    const tokens = (offsets[episode + 1] ?? 0) - (offsets[episode] ?? 0);
    const sum = episodeSum(this.#lens, column, episode);
    const means = ["value", "advantage", "return", "ratio"].includes(scale.channel.key);
    const small = `${means ? "mean" : "Σ"} ${formatNumber(means ? sum / Math.max(1, tokens) : sum, means ? 2 : 1)}`;
    const score = scores[episode];
    cell.replaceChildren();
    if (score === undefined) {
      cell.append(
        h("span", {}, `${tokens} tok`),
        " ",
        h("small", { title: `${means ? "mean" : "sum"} of ${scale.channel.label} over the episode` }, small),
      );
      return;
    }
    const share = Math.min(1, Math.abs(score) / this.#maxScore) * 50;
    const bar = h("i", { class: score < 0 ? "ps-negative" : "ps-positive" });
    bar.style.left = `${score < 0 ? 50 - share : 50}%`;
    bar.style.width = `${share}%`;
    cell.append(
      h("span", { title: "the episode's score" }, formatNumber(score, 2)),
      " ",
      h("small", { title: `${means ? "mean" : "sum"} of ${scale.channel.label} over the episode` }, small),
      h("div", { class: "ps-bar", "aria-hidden": "true" }, bar),
    );
  }

  #find(token: number): HTMLElement | undefined {
    return this.#inside.querySelector<HTMLElement>(`[data-i="${token}"]`) ?? undefined;
  }

  /** One tab stop: the token at the cursor, or the list itself while that token is scrolled away. */
  #tabStop(): void {
    for (const old of this.#inside.querySelectorAll('.ps-t[tabindex="0"]')) old.setAttribute("tabindex", "-1");
    const current = this.#find(this.#cursor);
    current?.setAttribute("tabindex", "0");
    this.element.setAttribute("tabindex", current ? "-1" : "0");
  }
}

function tokenOf(target: EventTarget | null): number | undefined {
  const element = target instanceof Element ? target.closest<HTMLElement>(".ps-t") : undefined;
  return element?.dataset.i === undefined ? undefined : Number(element.dataset.i);
}
