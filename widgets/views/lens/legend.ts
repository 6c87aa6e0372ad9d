import { formatNumber } from "../../channels.js";
import { css, type Palette } from "../../color.js";
import { axis, histogram, level, type Scale } from "../../scale.js";
import { h, s } from "../dom.js";

const width = 220;
const bins = 44;

/** The channel's colours with their values, the distribution of the batch over them, and a mark at one token's value. */
export class Legend {
  readonly element = h("div", { class: "ps-legend" });
  #scale: Scale | undefined;
  #mark: SVGElement | undefined;

  show(scale: Scale, palette: Palette, column: Float32Array, mask: Uint8Array): void {
    this.#scale = scale;
    const { channel } = scale;
    if (scale.extent < 1e-6) {
      this.#mark = undefined;
      const why =
        channel.key === "kl"
          ? ": the policy still is its reference"
          : channel.key === "ratio"
            ? ": nothing has moved yet"
            : "";
      this.element.replaceChildren(
        h(
          "div",
          { class: "ps-legend-axis" },
          h("span", { class: "ps-legend-unit" }, `${channel.label} is ${channel.center} at every token${why}`),
        ),
      );
      return;
    }
    const [low, high] = axis(scale);
    const counts = histogram(scale, column, mask, bins);
    const most = Math.max(1, ...counts);
    const step = width / bins;
    const digits = scale.extent >= 100 ? 0 : 2;
    this.#mark = s("path", { d: "M-4 30 L4 30 L0 24 Z", class: "ps-legend-mark", visibility: "hidden" });
    const picture = s("svg", { width, height: 30, viewBox: `0 0 ${width} 30`, "aria-hidden": "true" });
    counts.forEach((count, i) => {
      const value = low + ((i + 0.5) / bins) * (high - low);
      const height = count === 0 ? 0 : Math.max(1, (18 * count) / most);
      picture.append(
        s("rect", { x: i * step, y: 19 - height, width: step - 1, height, class: "ps-legend-bar" }),
        s("rect", {
          x: i * step,
          y: 21,
          width: step + 0.3,
          height: 7,
          fill: css(palette.at(level(scale, value)).background),
        }),
      );
    });
    if (channel.kind === "diverging") {
      picture.append(s("line", { x1: width / 2, x2: width / 2, y1: 0, y2: 28, class: "ps-legend-zero" }));
    }
    picture.append(this.#mark);
    const notes = [
      scale.beyond > 0 ? `${scale.beyond} beyond` : "",
      scale.broken > 0 ? `${scale.broken} not a number` : "",
    ].filter(Boolean);
    this.element.replaceChildren(
      h(
        "div",
        {
          class: "ps-legend-axis",
          role: "img",
          "aria-label": `${channel.label} runs from ${formatNumber(low, digits)} to ${formatNumber(high, digits)} ${channel.unit}`,
        },
        h("span", {}, (scale.beyond > 0 ? "≤ " : "") + formatNumber(low, digits)),
        picture,
        h("span", {}, (scale.beyond > 0 && channel.kind === "diverging" ? "≥ " : "") + formatNumber(high, digits)),
        h(
          "span",
          { class: "ps-legend-unit" },
          `${channel.label}, ${channel.unit}${notes.length > 0 ? ` (${notes.join(", ")})` : ""}`,
        ),
      ),
    );
  }

  /** Points at a value; undefined points at none. */
  point(value: number | undefined): void {
    if (!this.#mark || !this.#scale) return;
    const [low, high] = axis(this.#scale);
    const place = value === undefined ? Number.NaN : ((value - low) / (high - low || 1)) * width;
    this.#mark.setAttribute("visibility", Number.isFinite(place) ? "visible" : "hidden");
    if (Number.isFinite(place))
      this.#mark.setAttribute("transform", `translate(${Math.max(0, Math.min(width, place)).toFixed(1)} 0)`);
  }
}
