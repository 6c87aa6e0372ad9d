import type { RenderProps } from "@anywidget/types";

/** The little of plotly.js that the dashboard uses. */
export interface Plotly {
  react(element: HTMLElement, data: readonly object[], layout: object, config: object): Promise<void>;
  purge(element: HTMLElement): void;
}

interface PlotElement extends HTMLElement {
  on?(name: string, listener: (event: { points?: readonly { pointIndex: number }[] }) => void): void;
}

const shared = Symbol.for("policyscope.plotly");

/**
 * plotly.js, fetched through the model once per page. Never resolves when nobody answers: without a kernel a view goes
 * on with its own charts.
 */
export function loadPlotly({
  model,
  signal,
}: Pick<RenderProps<Record<string, unknown>>, "model" | "signal">): Promise<Plotly> {
  const page = globalThis as { [shared]?: Promise<Plotly> };
  const known = page[shared];
  if (known) return known;
  return new Promise((resolve, reject) => {
    const received = (message: unknown, buffers: readonly DataView[]) => {
      const { type, name } = (message ?? {}) as { type?: unknown; name?: unknown };
      const bytes = buffers?.[0];
      if (type !== "asset" || name !== "plotly-basic" || !bytes) return;
      model.off("msg:custom", received);
      page[shared] ??= evaluated(new TextDecoder().decode(bytes));
      page[shared].then(resolve, reject);
    };
    model.on("msg:custom", received);
    signal.addEventListener("abort", () => model.off("msg:custom", received));
    model.send({ type: "asset", name: "plotly-basic" });
  });
}

/** Calls `moved` with the place of the point under the mouse. */
export function onHover(element: HTMLElement, moved: (place: number) => void): void {
  (element as PlotElement).on?.("plotly_hover", (event) => {
    const place = event.points?.[0]?.pointIndex;
    if (place !== undefined) moved(place);
  });
}

/** The library is a script that looks for a module system; it gets one of its own, and no page's `define`. */
async function evaluated(source: string): Promise<Plotly> {
  const module = `export default (() => { const module = { exports: {} }, exports = module.exports, define = undefined; ${source}
;return module.exports; })()`;
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  try {
    const loaded = (await import(/* @vite-ignore */ url)) as { default: Plotly };
    return loaded.default;
  } finally {
    URL.revokeObjectURL(url);
  }
}
