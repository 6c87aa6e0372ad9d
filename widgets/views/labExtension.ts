import { OfflineModel, openState, renderView, type SavedState } from "./offlineModel.js";

/**
 * A JupyterLab extension of one act: where a saved widget cannot be shown (its model was not saved, or there is no kernel
 * and JupyterLab waits for one), something stands in its place until the widget comes: its view, drawn from the state in
 * the notebook, or where that was not saved, the output's static form.
 * Written as a federated extension by hand: a container with `init` and `get`, and one plugin.
 */

interface MimeModel {
  readonly data: Readonly<Record<string, unknown>>;
}
interface Renderer {
  readonly node: HTMLElement;
  renderModel(model: MimeModel): Promise<void>;
  dispose(): void;
}
interface OutputArea {
  readonly model: { readonly length: number; get(index: number): MimeModel };
  readonly widgets: readonly { readonly node: HTMLElement }[];
}
interface NotebookPanel {
  readonly content?: {
    readonly rendermime?: { createRenderer(mime: string): Renderer };
    readonly model?: { getMetadata?(key: string): unknown } | null;
    readonly widgets?: readonly { readonly outputArea?: OutputArea }[];
  };
}
interface Application {
  readonly shell: { widgets(area: string): Iterable<NotebookPanel> };
}

const view = "application/vnd.jupyter.widget-view+json";
const placeholder = /^\s*(Loading widget\.\.\.|Error displaying widget)/;
/** A widget that comes at all comes sooner. */
const patience = 1500;

const plugin = {
  id: "policyscope:twins",
  autoStart: true,
  activate(app: Application): void {
    const replaced = new WeakSet<HTMLElement>();
    let waiting = false;
    const look = () => {
      waiting = false;
      for (const { content } of app.shell.widgets("main")) {
        for (const { outputArea } of content?.widgets ?? []) {
          if (!outputArea || !content?.rendermime) continue;
          for (let i = 0; i < Math.min(outputArea.model.length, outputArea.widgets.length); i++) {
            const model = outputArea.model.get(i);
            if (!(view in model.data) || !("text/html" in model.data)) continue;
            const shown = outputArea.widgets[i]?.node.querySelector<HTMLElement>(".jp-OutputArea-output");
            if (!shown || replaced.has(shown) || !placeholder.test(shown.textContent ?? "")) continue;
            replaced.add(shown);
            const twin = content.rendermime.createRenderer("text/html");
            const saved = savedState(content.model?.getMetadata?.("widgets"), model);
            void stand(shown, twin, model, saved).finally(() => replaced.delete(shown));
          }
        }
      }
    };
    new MutationObserver(() => {
      if (waiting) return;
      waiting = true;
      setTimeout(look, patience);
    }).observe(document.body, { childList: true, subtree: true });
  },
};

/** Shows something beside a hidden placeholder until the placeholder becomes something else. */
async function stand(
  shown: HTMLElement,
  twin: Renderer,
  model: MimeModel,
  saved: SavedState | undefined,
): Promise<void> {
  const gone = new AbortController();
  const place = document.createElement("div");
  place.className = "jp-OutputArea-output policyscope-twin";
  await twin.renderModel(model);
  place.append(twin.node);
  if (!placeholder.test(shown.textContent ?? "") || !shown.isConnected) {
    twin.dispose();
    return;
  }
  shown.style.display = "none";
  shown.after(place);
  if (saved) await draw(saved, place, gone.signal).catch(() => place.replaceChildren(twin.node));
  await new Promise<void>((done) => {
    const watcher = new MutationObserver(() => {
      if (placeholder.test(shown.textContent ?? "")) return;
      watcher.disconnect();
      done();
    });
    watcher.observe(shown, { childList: true, subtree: true, characterData: true });
  });
  gone.abort();
  place.remove();
  twin.dispose();
  shown.style.display = "";
}

/** Draws a view from saved state. JupyterLab asks for widgets only in notebooks that the user trusts. */
async function draw(saved: SavedState, place: HTMLElement, signal: AbortSignal): Promise<void> {
  const state = openState(saved);
  const style = document.createElement("style");
  style.textContent = String(state._css ?? "");
  const element = document.createElement("div");
  place.replaceChildren(style, element);
  await renderView(String(state._esm), new OfflineModel(state), element, signal);
}

function savedState(widgets: unknown, { data }: MimeModel): SavedState | undefined {
  const id = (data[view] as { model_id?: string } | undefined)?.model_id;
  const { state } = ((widgets ?? {}) as Record<string, { state?: Record<string, SavedState> } | undefined>)[
    "application/vnd.jupyter.widget-state+json"
  ] ?? { state: undefined };
  const saved = id === undefined ? undefined : state?.[id];
  const ours = String(saved?.state._anywidget_id ?? "").startsWith("policyscope.");
  return saved && ours ? saved : undefined;
}

const page = globalThis as { _JUPYTERLAB?: Record<string, unknown> };
page._JUPYTERLAB ??= {};
page._JUPYTERLAB.policyscope = {
  init: () => {},
  get: async () => () => ({ __esModule: true, default: plugin }),
};
