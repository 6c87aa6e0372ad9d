/**
 * A JupyterLab extension of one act: where a saved widget cannot be shown (its model was not saved, or there is no kernel
 * that JupyterLab would wait for), the output's static form is shown in its place, until the widget comes.
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
            void stand(shown, content.rendermime.createRenderer("text/html"), model).finally(() =>
              replaced.delete(shown),
            );
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

/** Shows the static form beside a hidden placeholder until the placeholder becomes something else. */
async function stand(shown: HTMLElement, twin: Renderer, model: MimeModel): Promise<void> {
  await twin.renderModel(model);
  if (!placeholder.test(shown.textContent ?? "") || !shown.isConnected) {
    twin.dispose();
    return;
  }
  twin.node.classList.add("jp-OutputArea-output", "policyscope-twin");
  shown.style.display = "none";
  shown.after(twin.node);
  await new Promise<void>((done) => {
    const watcher = new MutationObserver(() => {
      if (placeholder.test(shown.textContent ?? "")) return;
      watcher.disconnect();
      done();
    });
    watcher.observe(shown, { childList: true, subtree: true, characterData: true });
  });
  twin.node.remove();
  twin.dispose();
  shown.style.display = "";
}

const page = globalThis as { _JUPYTERLAB?: Record<string, unknown> };
page._JUPYTERLAB ??= {};
page._JUPYTERLAB.policyscope = {
  init: () => {},
  get: async () => () => ({ __esModule: true, default: plugin }),
};
