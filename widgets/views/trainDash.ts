import type { RenderProps } from "@anywidget/types";
import { formatNumber } from "../channels.js";
import { css, type Frame, frameOf, type Ground, mix } from "../color.js";
import { type Dash, type DashState, openDash, type Panel, panelsOf } from "../run.js";
import { h, perFrame, s } from "./dom.js";
import { loadPlotly, onHover, type Plotly } from "./plotly.js";
import { followTheme } from "./theme.js";

type State = Record<string, unknown>;

/** anywidget's entry: draws a training run from the model's state and follows it while it grows. */
function render({ model, el, signal }: RenderProps<State>): void {
  const gone = signal ?? new AbortController().signal;
  const root = h("div", { class: "ps-dash" });
  el.append(root);
  new TrainDash(model, root, gone);
}

export default { render };

class TrainDash {
  readonly #sub = h("span", { class: "ps-sub" });
  readonly #stop = h("button", { type: "button", class: "ps-stop", hidden: true }, "Stop");
  readonly #slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "step" });
  readonly #said = h("output", {});
  readonly #charts = h("div", { class: "ps-charts" });
  readonly #empty = h(
    "div",
    { class: "ps-empty" },
    h("b", {}, "No training step yet"),
    "Run ",
    h("code", {}, "await trainer.step(prompts)"),
    " or loop over ",
    h("code", {}, "trainer.run({ steps: 20 })"),
    "; the curves appear here as it goes.",
  );
  readonly #all = h("div", { class: "ps-all" });
  readonly #details = h(
    "details",
    {},
    h("summary", {}, "all metrics"),
    h("div", { class: "ps-scroll", tabindex: "0", role: "region", "aria-label": "all metrics" }, this.#all),
  );
  readonly #readout = h("div", { class: "ps-unseen", role: "status", "aria-live": "polite" });
  readonly #step: HTMLElement;
  #panels: PanelView[] = [];
  #shape = "";
  #dash: Dash;
  /** The step that is looked at; undefined follows the newest. */
  #chosen: number | undefined;
  #stopping = false;
  #frame: Frame = frameOf({ background: [255, 255, 255], ink: [31, 35, 40] });
  #plotly: Plotly | undefined;

  constructor(model: RenderProps<State>["model"], root: HTMLElement, signal: AbortSignal) {
    this.#dash = dashOf(model);
    this.#step = h("label", { class: "ps-step" }, "step", this.#slider, this.#said);
    root.append(
      h(
        "section",
        { class: "ps-card", "aria-label": "Training" },
        h(
          "div",
          { class: "ps-head" },
          h("b", {}, "Training"),
          this.#sub,
          h("span", { class: "ps-space" }),
          this.#step,
          this.#stop,
        ),
        this.#empty,
        this.#charts,
        this.#details,
        this.#readout,
      ),
    );
    this.#slider.addEventListener(
      "input",
      () => {
        const place = Number(this.#slider.value);
        this.#look(place === this.#dash.steps.length - 1 ? undefined : place);
      },
      { signal },
    );
    root.addEventListener(
      "keydown",
      (event) => {
        // JupyterLab takes arrows and letters for itself.
        if (event.target instanceof HTMLInputElement || event.target instanceof HTMLButtonElement)
          event.stopPropagation();
      },
      { signal },
    );
    this.#stop.addEventListener(
      "click",
      () => {
        this.#stopping = true;
        model.send({ type: "stop" });
        this.#draw();
        this.#readout.textContent = "stopping after this step";
      },
      { signal },
    );
    const changed = perFrame(() => {
      this.#dash = dashOf(model);
      if (!this.#dash.running) this.#stopping = false;
      this.#draw();
    }, signal);
    for (const key of ["series", "run", "steps"]) model.on(`change:${key}`, changed);
    signal.addEventListener("abort", () => {
      for (const key of ["series", "run", "steps"]) model.off(`change:${key}`, changed);
      for (const panel of this.#panels) panel.dispose(this.#plotly);
    });
    followTheme(
      root,
      (ground: Ground) => {
        this.#frame = frameOf(ground);
        this.#draw();
      },
      signal,
    );
    this.#draw();
    loadPlotly({ model, signal }).then(
      (plotly) => {
        if (signal.aborted) return;
        this.#plotly = plotly;
        this.#draw();
      },
      (error: unknown) => console.warn("policyscope: plotly.js could not be loaded; plain charts stay", error),
    );
  }

  #draw(): void {
    const dash = this.#dash;
    const n = dash.steps.length;
    const place = Math.min(this.#chosen ?? n - 1, n - 1);
    this.#sub.className = dash.running ? "ps-sub ps-live" : "ps-sub";
    this.#sub.textContent = `${n} ${n === 1 ? "step" : "steps"}${dash.running ? (this.#stopping ? ", stopping after this one" : ", running") : ""}`;
    this.#stop.hidden = !(dash.running && dash.canStop);
    this.#stop.disabled = this.#stopping;
    this.#stop.textContent = this.#stopping ? "Stopping …" : "Stop";
    this.#empty.hidden = n > 0;
    this.#empty.style.display = n > 0 ? "none" : "";
    this.#details.style.display = n > 0 ? "" : "none";
    this.#step.style.display = n > 1 ? "" : "none";
    if (n === 0) return;
    this.#slider.max = String(n - 1);
    this.#slider.value = String(place);
    this.#said.textContent = `${dash.steps[place]}${this.#chosen === undefined ? " (newest)" : ""}`;
    const panels = panelsOf(dash.names);
    const shape = JSON.stringify(panels);
    if (shape !== this.#shape) {
      this.#shape = shape;
      for (const panel of this.#panels) panel.dispose(this.#plotly);
      this.#panels = panels.map((panel) => new PanelView(panel, (at) => this.#look(at)));
      this.#charts.replaceChildren(...this.#panels.map(({ element }) => element));
    }
    for (const panel of this.#panels) panel.draw(dash, place, this.#frame, this.#plotly);
    this.#all.replaceChildren(
      ...[...dash.names]
        .sort()
        .map((name) =>
          h("div", {}, h("span", {}, name), h("code", {}, formatNumber(dash.metric(name)?.[place] ?? Number.NaN, 4))),
        ),
    );
  }

  #look(place: number | undefined): void {
    if (place === this.#chosen) return;
    this.#chosen = place;
    this.#draw();
  }
}

const lines = ["positive", "negative", "muted"] as const;
const dashes = ["", "5 3", "1.5 2.5"] as const;
const plotlyDashes = ["solid", "dash", "dot"] as const;

/** One chart: plain SVG at once, plotly.js as soon as it is there. */
class PanelView {
  readonly element: HTMLElement;
  readonly #values = h("div", { class: "ps-values" });
  readonly #chart = h("div", { class: "ps-chart" });
  #plotted = false;

  constructor(
    private readonly panel: Panel,
    private readonly look: (place: number) => void,
  ) {
    this.element = h(
      "div",
      { class: "ps-panel" },
      h("h4", {}, panel.title),
      this.#values,
      this.#chart,
      panel.explains === "" ? undefined : h("p", {}, panel.explains),
    );
  }

  draw(dash: Dash, place: number, frame: Frame, plotly: Plotly | undefined): void {
    const single = this.panel.lines.length === 1;
    this.#values.replaceChildren(
      ...this.panel.lines.map(({ name, label }, i) => {
        const band = i === 0 && this.panel.band ? dash.metric(this.panel.band)?.[place] : undefined;
        const value = h(
          "span",
          { class: i > 0 ? "ps-dashed" : "", title: name },
          single ? "" : h("small", {}, `${label} `),
          formatNumber(dash.metric(name)?.[place] ?? Number.NaN),
          band === undefined ? "" : h("small", {}, ` ± ${formatNumber(band, 2)}`),
        );
        value.style.setProperty("--ps-series", css(frame[lines[i % 3] ?? "muted"]));
        return value;
      }),
    );
    if (plotly) this.#plot(plotly, dash, place, frame);
    else this.#plain(dash, place, frame);
  }

  dispose(plotly: Plotly | undefined): void {
    if (this.#plotted) plotly?.purge(this.#chart);
  }

  #plot(plotly: Plotly, dash: Dash, place: number, frame: Frame): void {
    const first = !this.#plotted;
    if (first) this.#chart.replaceChildren();
    this.#plotted = true;
    const x = dash.steps;
    const few = x.length <= 40;
    const data: object[] = this.panel.lines.map(({ name, label }, i) => ({
      type: "scatter",
      mode: few ? "lines+markers" : "lines",
      x,
      y: dash.metric(name),
      name: label,
      line: { color: css(frame[lines[i % 3] ?? "muted"]), width: 2, dash: plotlyDashes[i % 3] },
      marker: { size: 4 },
      hovertemplate: `${label} %{y:.4~g}<extra></extra>`,
    }));
    const band = this.panel.band ? dash.metric(this.panel.band) : undefined;
    const mean = dash.metric(this.panel.lines[0]?.name ?? "");
    if (band && mean) {
      const edge = (sign: 1 | -1) => ({
        type: "scatter",
        mode: "lines",
        x,
        y: mean.map((v, i) => v + sign * (band[i] ?? 0)),
        line: { width: 0 },
        hoverinfo: "skip",
        ...(sign === 1 ? { fill: "tonexty", fillcolor: css(mix(frame.background, frame.positive, 0.22)) } : {}),
      });
      data.unshift(edge(-1), edge(1));
    }
    const axis = {
      gridcolor: css(frame.line),
      linecolor: css(frame.line),
      zerolinecolor: css(frame.edge),
      tickfont: { size: 10 },
      automargin: true,
      fixedrange: false,
    };
    const layout = {
      height: 128,
      margin: { l: 34, r: 6, t: 4, b: 20 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(this.element).fontFamily, color: css(frame.muted), size: 10 },
      showlegend: false,
      hovermode: "x",
      hoverlabel: { bgcolor: css(frame.soft), bordercolor: css(frame.edge), font: { color: css(frame.ink), size: 11 } },
      xaxis: { ...axis, zeroline: false, nticks: 6, ...(x.length < 8 ? { tickmode: "array", tickvals: [...x] } : {}) },
      yaxis: { ...axis, nticks: 4 },
      shapes: [
        {
          type: "line",
          x0: x[place],
          x1: x[place],
          yref: "paper",
          y0: 0,
          y1: 1,
          line: { color: css(frame.muted), width: 1, dash: "dot" },
        },
      ],
      uirevision: "kept",
    };
    void plotly.react(this.#chart, data, layout, { displayModeBar: false, responsive: true, doubleClick: "reset" });
    if (first) onHover(this.#chart, (at) => this.look(at));
  }

  #plain(dash: Dash, place: number, frame: Frame): void {
    const [width, height, left, bottom] = [this.#chart.clientWidth || 300, 128, 40, 110];
    const rows = this.panel.lines.map(({ name }) => dash.metric(name) ?? new Float32Array(0));
    const band = this.panel.band ? dash.metric(this.panel.band) : undefined;
    const finite = rows.flatMap((row) => [...row]).filter(Number.isFinite);
    if (band && rows[0])
      finite.push(...[...rows[0]].flatMap((v, i) => [v - (band[i] ?? 0), v + (band[i] ?? 0)]).filter(Number.isFinite));
    let [low, high] = [Math.min(...finite), Math.max(...finite)];
    if (!(high > low)) [low, high] = [(Number.isFinite(low) ? low : 0) - 0.5, (Number.isFinite(high) ? high : 0) + 0.5];
    const n = dash.steps.length;
    const x = (i: number) => left + (n < 2 ? 0.5 : i / (n - 1)) * (width - left - 8);
    const y = (v: number) => bottom - ((v - low) / (high - low)) * (bottom - 8);
    const chart = s("svg", {
      class: "ps-plain",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `${this.panel.title} over ${n} steps`,
    });
    for (const v of [low, (low + high) / 2, high]) {
      chart.append(
        s("line", { class: "ps-grid", x1: left, x2: width - 8, y1: y(v), y2: y(v) }),
        s("text", { x: left - 5, y: y(v) + 3, "text-anchor": "end" }, formatNumber(v, 2)),
      );
    }
    chart.append(
      s("text", { x: x(0), y: height - 4, "text-anchor": "middle" }, String(dash.steps[0] ?? "")),
      s("text", { x: x(n - 1), y: height - 4, "text-anchor": "middle" }, n > 1 ? String(dash.steps[n - 1]) : ""),
    );
    const first = rows[0];
    if (band && first) {
      const up = [...first].map((v, i) => `${x(i).toFixed(1)},${y(v + (band[i] ?? 0)).toFixed(1)}`);
      const down = [...first].map((v, i) => `${x(i).toFixed(1)},${y(v - (band[i] ?? 0)).toFixed(1)}`).reverse();
      chart.append(
        s("polygon", { points: [...up, ...down].join(" "), fill: css(mix(frame.background, frame.positive, 0.22)) }),
      );
    }
    rows.forEach((row, k) => {
      const color = css(frame[lines[k % 3] ?? "muted"]);
      const points = [...row].flatMap((v, i) => (Number.isFinite(v) ? [`${x(i).toFixed(1)},${y(v).toFixed(1)}`] : []));
      chart.append(
        s("polyline", {
          points: points.join(" "),
          fill: "none",
          stroke: color,
          "stroke-width": 2,
          "stroke-dasharray": dashes[k % 3] || undefined,
          "vector-effect": "non-scaling-stroke",
        }),
      );
      if (n === 1)
        for (const point of points)
          chart.append(s("circle", { cx: point.split(",")[0] ?? 0, cy: point.split(",")[1] ?? 0, r: 3, fill: color }));
    });
    chart.append(s("line", { class: "ps-cursor-line", x1: x(place), x2: x(place), y1: 8, y2: bottom }));
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const share = ((event.clientX - box.left) / box.width) * width;
      this.look(Math.max(0, Math.min(n - 1, Math.round(((share - left) / (width - left - 8)) * (n - 1)))));
    });
    this.#chart.replaceChildren(chart);
  }
}

function dashOf(model: RenderProps<State>["model"]): Dash {
  const run = (model.get("run") ?? { names: [], running: false, canStop: false }) as DashState["run"];
  return openDash({
    run,
    steps: new Int32Array(bytesOf(model.get("steps"))),
    series: new Float32Array(bytesOf(model.get("series"))),
  });
}

function bytesOf(value: unknown): ArrayBuffer {
  if (!ArrayBuffer.isView(value)) return new ArrayBuffer(0);
  return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength).slice().buffer;
}
