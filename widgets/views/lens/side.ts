import { type Channel, channels, formatNumber } from "../../channels.js";
import { css } from "../../color.js";
import type { Lens } from "../../lens.js";
import { level } from "../../scale.js";
import { quotedText } from "../../tokenText.js";
import { workings } from "../../workings.js";
import { h, s } from "../dom.js";
import type { RowsPicture } from "./rows.js";

/** What else could have come at a position. */
export interface Alternative {
  readonly id: number;
  readonly text: string;
  /** Probability under the policy, 0 to 1. */
  readonly probability: number;
  /** Probability under the reference, where there is one. */
  readonly reference?: number;
}

const chartWidth = 244;
const chartBars = 61;

/** All numbers of one token, how they came about, and the channel along its episode. */
export class Side {
  readonly element: HTMLElement;
  readonly #body = h("div", { class: "ps-side-body" });
  readonly #alternatives = h("div", { class: "ps-alternatives" });

  constructor(private readonly lens: Lens) {
    this.element = h(
      "aside",
      { class: "ps-side", "aria-label": "the token's numbers", tabindex: "0" },
      this.#body,
      this.#alternatives,
    );
  }

  show(token: number, picture: RowsPicture, channel: Channel, epoch: number, pinned: boolean): void {
    const { lens } = this;
    const episode = lens.episodeOf(token);
    const start = lens.offsets[episode] ?? 0;
    const length = (lens.offsets[episode + 1] ?? 0) - start;
    const id = lens.vocabulary[lens.pieces[token] ?? -1]?.[0];
    const table = h("table", { class: "ps-numbers" }, h("caption", { class: "ps-unseen" }, "the token's numbers"));
    const body = h("tbody");
    for (const { key, label } of channels) {
      const value = lens.column(key, epoch)?.[token];
      if (value === undefined) continue;
      const on = key === channel.key;
      body.append(
        h(
          "tr",
          { "data-on": on },
          h("th", { scope: "row" }, label),
          h("td", {}, formatNumber(value), on ? h("span", { class: "ps-unseen" }, " (shown)") : undefined),
        ),
      );
    }
    const score = lens.scores[episode];
    if (score !== undefined) {
      body.append(
        h("tr", { class: "ps-rule" }, h("th", { scope: "row" }, "episode's score"), h("td", {}, formatNumber(score))),
      );
    }
    table.append(body);
    this.#body.replaceChildren(
      h(
        "h4",
        { class: "ps-token" },
        `“${quotedText(lens.textOf(token))}”`,
        pinned ? h("span", { class: "ps-pinned" }, "pinned") : undefined,
      ),
      h(
        "div",
        { class: "ps-where" },
        `episode ${episode + 1}, token ${token - start + 1} of ${length} · id ${id ?? "?"}${lens.mask[token] ? "" : " · does not count"}`,
      ),
      alongEpisode(lens, token, picture, channel),
      table,
      ...this.#workings(token, channel, epoch),
    );
  }

  /** Shows what else could have come, or why that is not known; undefined shows nothing. */
  showAlternatives(found: readonly Alternative[] | string | undefined, token: number): void {
    const came = this.lens.vocabulary[this.lens.pieces[token] ?? -1]?.[0];
    this.#alternatives.replaceChildren();
    if (found === undefined) return;
    this.#alternatives.append(h("h5", {}, "What could have come here"));
    if (typeof found === "string") {
      this.#alternatives.append(h("p", { class: "ps-note" }, found));
      return;
    }
    const most = Math.max(1e-9, ...found.flatMap(({ probability, reference = 0 }) => [probability, reference]));
    for (const { id, text, probability, reference } of found) {
      const bar = h("i");
      bar.style.width = `${(probability / most) * 100}%`;
      const thin = h("i", { class: "ps-thin" });
      thin.style.width = `${((reference ?? 0) / most) * 100}%`;
      this.#alternatives.append(
        h(
          "div",
          { class: id === came ? "ps-alternative ps-came" : "ps-alternative" },
          h("span", { class: "ps-alternative-text" }, quotedText(text)),
          h("span", { "aria-hidden": "true" }, bar, reference === undefined ? undefined : thin),
          h(
            "span",
            {
              class: "ps-alternative-share",
              title: reference === undefined ? "" : `reference ${(reference * 100).toFixed(1)}%`,
            },
            probability < 0.0005 ? "<0.1%" : `${(probability * 100).toFixed(probability < 0.1 ? 1 : 0)}%`,
          ),
        ),
      );
    }
    if (found.some(({ reference }) => reference !== undefined)) {
      this.#alternatives.append(h("p", { class: "ps-note" }, "bar: policy · thin: reference"));
    }
  }

  #workings(token: number, channel: Channel, epoch: number): HTMLElement[] {
    const found = workings(this.lens, token, channel.key, epoch);
    if (found.length === 0) return [];
    const list = h("div", { class: "ps-workings" });
    for (const { name, formula, numbers } of found) {
      list.append(h("div", {}, h("b", {}, name), ` = ${formula}`), h("code", {}, numbers));
    }
    return [h("h5", {}, "How it came about"), list];
  }
}

/** Bars of the channel over the tokens of the episode, this token framed; a long episode shows the part around it. */
function alongEpisode(lens: Lens, token: number, picture: RowsPicture, channel: Channel): SVGElement {
  const episode = lens.episodeOf(token);
  const start = lens.offsets[episode] ?? 0;
  const end = lens.offsets[episode + 1] ?? 0;
  const from = Math.max(start, Math.min(token - (chartBars >> 1), end - chartBars));
  const to = Math.min(end, from + chartBars);
  const height = 46;
  const step = Math.min(16, chartWidth / Math.max(1, to - from));
  const diverging = channel.kind === "diverging";
  const base = diverging ? height / 2 : 3;
  const reach = diverging ? height / 2 - 3 : height - 6;
  const values = Array.from({ length: to - from }, (_, i) => picture.column[from + i] ?? Number.NaN);
  const most = Math.max(1e-9, ...values.map((x) => Math.abs(x - channel.center)).filter(Number.isFinite));
  const chart = s("svg", {
    class: "ps-along",
    viewBox: `0 0 ${chartWidth} ${height}`,
    role: "img",
    "aria-label": `${channel.label} along episode ${episode + 1}`,
  });
  values.forEach((value, i) => {
    if (!Number.isFinite(value) || !lens.mask[from + i]) return;
    const size = Math.max(0.75, (Math.abs(value - channel.center) / most) * reach);
    const up = value > channel.center;
    const current = from + i === token;
    chart.append(
      s("rect", {
        x: (i * step + 0.5).toFixed(2),
        y: (up ? base - size : base).toFixed(2),
        width: Math.max(0.5, step - 1.5).toFixed(2),
        height: size.toFixed(2),
        fill: css(picture.palette.at(level(picture.scale, value)).background),
        class: current ? "ps-along-bar ps-along-here" : "ps-along-bar",
      }),
    );
  });
  chart.append(s("line", { x1: 0, x2: chartWidth, y1: base, y2: base, class: "ps-along-base" }));
  return chart;
}
