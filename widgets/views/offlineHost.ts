import { OfflineModel, openState, renderView, type SavedState } from "./offlineModel.js";

export { importView, OfflineModel, renderView } from "./offlineModel.js";

/** What a page without a kernel carries; written by widgets/export.ts. */
export interface OfflinePage {
  /** Distinct view modules and style sheets; models refer to them by place. */
  readonly modules: readonly string[];
  readonly styles: readonly string[];
  readonly models: Readonly<Record<string, OfflineState>>;
  /** Libraries that a view may ask for by name. */
  readonly assets: Readonly<Record<string, string>>;
}

/** One model's saved state. */
export interface OfflineState extends SavedState {
  readonly module: number;
  readonly style: number;
}

/**
 * Draws every saved widget of a page into the places that were left for them. A place keeps the static twin that is in
 * it until its view has been drawn, and for good if that fails.
 */
export async function mountAll(page: OfflinePage, root: ParentNode = document): Promise<void> {
  for (const style of page.styles) {
    const element = document.createElement("style");
    element.textContent = style;
    document.head.append(element);
  }
  const models = new Map<string, OfflineModel>();
  for (const place of root.querySelectorAll<HTMLElement>("[data-policyscope-view]")) {
    const id = place.dataset.policyscopeView ?? "";
    const saved = page.models[id];
    if (!saved) continue;
    let model = models.get(id);
    if (!model) {
      model = new OfflineModel(openState(saved), (content, asked) => answer(content, asked, page));
      models.set(id, model);
    }
    const element = document.createElement("div");
    element.className = "policyscope-live";
    place.before(element);
    try {
      await renderView(page.modules[saved.module] ?? "", model, element, new AbortController().signal);
      place.remove();
    } catch (error) {
      element.remove();
      console.error("policyscope: a saved view could not be drawn; its static form stays", error);
    }
  }
}

function answer(content: unknown, model: OfflineModel, page: OfflinePage): void {
  const { type, name } = (content ?? {}) as { type?: unknown; name?: unknown };
  if (type !== "asset" || typeof name !== "string") return;
  const source = page.assets[name];
  if (source === undefined) return;
  const bytes = new TextEncoder().encode(source);
  queueMicrotask(() => model.receive({ content: { type: "asset", name }, buffers: [new DataView(bytes.buffer)] }));
}

const own = document.querySelector("script[data-policyscope-widgets]");
if (own?.textContent) void mountAll(JSON.parse(own.textContent) as OfflinePage);
