import { asset } from "./assets.js";
import { escapeHtml } from "./tokenText.js";

/** Widget state as a notebook keeps it in `metadata.widgets["application/vnd.jupyter.widget-state+json"]`. */
export interface WidgetState {
  readonly version_major?: number;
  readonly version_minor?: number;
  readonly state: Readonly<Record<string, SavedModel>>;
}

/** One saved model. */
export interface SavedModel {
  readonly model_name?: string;
  readonly model_module?: string;
  readonly model_module_version?: string;
  readonly state: Readonly<Record<string, unknown>>;
  readonly buffers?: readonly {
    readonly encoding: string;
    readonly path: readonly (string | number)[];
    readonly data: string;
  }[];
}

/** What a page needs so that saved widgets live in it without a network and without a kernel. */
export interface OfflineWidgets {
  /** HTML to put once into the page's head: the saved models, their views and a small host. Empty without models. */
  readonly head: string;
  /**
   * HTML for the place of a view; `twin` (trusted HTML) is seen until the view is drawn, and without scripts.
   * Undefined for a model that this page cannot draw.
   */
  element(modelId: string, twin: string): string | undefined;
}

/**
 * Makes saved widgets self-contained. Views that several models share are carried once; plotly.js is carried only
 * when a training dashboard is among them (`plotly: false` leaves it out: the dashboard then draws its own plain charts).
 */
export function offlineWidgets(
  saved: WidgetState | undefined,
  { plotly = true }: { plotly?: boolean } = {},
): OfflineWidgets {
  const modules: string[] = [];
  const styles: string[] = [];
  const models: Record<string, object> = {};
  let charts = false;
  for (const [id, { state, buffers = [] }] of Object.entries(saved?.state ?? {})) {
    const { _esm, _css, _anywidget_id, ...rest } = state;
    if (typeof _esm !== "string") continue;
    charts ||= _anywidget_id === "policyscope.TrainDash";
    models[id] = {
      module: placeIn(modules, _esm),
      style: typeof _css === "string" ? placeIn(styles, _css) : -1,
      state: rest,
      buffers: buffers.filter(({ encoding }) => encoding === "base64").map(({ path, data }) => ({ path, data })),
    };
  }
  const page = {
    modules,
    styles,
    models,
    assets: plotly && charts ? { "plotly-basic": asset("plotly-basic.min.js") } : {},
  };
  return {
    element: (modelId, twin) =>
      Object.hasOwn(models, modelId) ? `<div data-policyscope-view="${escapeHtml(modelId)}">${twin}</div>` : undefined,
    head:
      Object.keys(models).length === 0
        ? ""
        : `<script type="application/json" data-policyscope-widgets>${JSON.stringify(page).replace(/</g, "\\u003c")}</script>\n` +
          `<script type="module">${asset("offlineHost.js")
            .replace(/<\/(script)/gi, "<\\/$1")
            .replace(/<!--/g, "<\\!--")}</script>\n`,
  };
}

function placeIn(list: string[], text: string): number {
  const at = list.indexOf(text);
  return at >= 0 ? at : list.push(text) - 1;
}
