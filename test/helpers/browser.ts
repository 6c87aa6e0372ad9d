import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, chromium, type Page } from "playwright-core";
import { asset } from "../../widgets/assets.js";
import { offlineWidgets, type SavedModel, type WidgetState } from "../../widgets/export.js";
import type { Sent } from "./comms.js";

const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** A Chromium's path, from CHROMIUM or a well-known place. */
export const chromiumPath = process.env.CHROMIUM ?? places.find((path) => existsSync(path));

/** For `test(name, { skip: noBrowser }, …)`: false, or why browser tests cannot run here. */
export const noBrowser = chromiumPath ? false : "no Chromium found: install one, or name it in CHROMIUM";

/** A browser from which nothing leaves this machine. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    ...(chromiumPath ? { executablePath: chromiumPath } : {}),
    args: ["--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
  });
}

/** How a page looks. */
export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
}

/** Opens HTML in a fresh page; what goes wrong in it is collected in `errors`. */
export async function openHtml(
  browser: Browser,
  html: string,
  { width = 1130, height = 700, dark = false }: Look = {},
): Promise<{ page: Page; errors: string[] }> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    locale: "en-US",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("requestfailed", (request) => errors.push(`request failed: ${request.url().slice(0, 100)}`));
  await page.setContent(html);
  return { page, errors };
}

/** The widget state that a front end would save after these messages. */
export function savedState(sent: readonly Sent[]): WidgetState {
  const state: Record<
    string,
    { state: Record<string, unknown>; buffers: { encoding: string; path: string[]; data: string }[] }
  > = {};
  for (const { kind, id, data, buffers } of sent) {
    if (kind === "comm_close" || !("state" in data)) continue;
    const model = state[id] ?? { state: {}, buffers: [] };
    state[id] = model;
    Object.assign(model.state, data.state as object);
    (data.buffer_paths as string[][]).forEach((path, i) => {
      const view = buffers[i];
      if (!view) return;
      const encoded = Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength).toString("base64");
      model.buffers = [
        ...model.buffers.filter((b) => b.path[0] !== path[0]),
        { encoding: "base64", path, data: encoded },
      ];
    });
  }
  return { version_major: 2, version_minor: 0, state };
}

/** A page with the views of saved widgets, as an exported notebook has them. */
export function pageOf(state: WidgetState, { dark = false, width }: { dark?: boolean; width?: number } = {}): string {
  const offline = offlineWidgets(state);
  const views = Object.keys(state.state)
    .map((id) => offline.element(id, "<p>twin</p>"))
    .join("<br>");
  const colors = dark ? "background: #111418; color: #e6e8eb" : "background: #ffffff; color: #1f2328";
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>views</title>${offline.head}</head><body style="margin: 24px; ${colors}; ${width ? `width: ${width}px` : ""}"><main>${views}</main></body></html>`;
}

/** A view drawn in a page, with the test as its kernel. */
export interface MountedView {
  readonly page: Page;
  /** What has gone wrong in the page. */
  readonly errors: string[];
  /** What the view has sent to its kernel. */
  sent(): Promise<{ type?: string; token?: number }[]>;
  /** A state key as the view has left it. */
  state(key: string): Promise<unknown>;
  /** What a kernel would have sent: state (float32 arrays as plain lists under `series`), or a message with bytes. */
  receive(message: { state?: Record<string, unknown>; content?: object; text?: string }): Promise<void>;
}

/** Draws one model's view in an empty page. */
export async function mountView(
  browser: Browser,
  saved: SavedModel,
  look: Look = {},
  background?: string,
): Promise<MountedView> {
  const dark = look.dark ?? false;
  const colors = background ?? (dark ? "background: #111418; color: #e6e8eb" : "background: #ffffff; color: #1f2328");
  const { page, errors } = await openHtml(
    browser,
    `<!doctype html><html lang="en"><head><title>view</title></head><body style="margin: 12px; ${colors}"><main id="place"></main></body></html>`,
    look,
  );
  await page.evaluate(
    async ({ host, saved }) => {
      const { OfflineModel, renderView } = await import(
        URL.createObjectURL(new Blob([host], { type: "text/javascript" }))
      );
      const state: Record<string, unknown> = { ...saved.state };
      for (const { path, data } of saved.buffers ?? []) {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        state[String(path[0])] = new DataView(bytes.buffer);
      }
      const style = document.createElement("style");
      style.textContent = String(state._css);
      document.head.append(style);
      const sent: unknown[] = [];
      const model = new OfflineModel(state, (content: unknown) => sent.push(content));
      const place = document.getElementById("place");
      let shown = new AbortController();
      const redraw = async () => {
        shown.abort();
        shown = new AbortController();
        place?.replaceChildren();
        await renderView(String(state._esm), model, place, shown.signal).catch(() => {});
        return place;
      };
      Object.assign(globalThis, { policyscopeTest: { model, sent, redraw } });
      await redraw();
    },
    { host: asset("offlineHost.js"), saved },
  );
  return {
    page,
    errors,
    sent: () => page.evaluate(() => (globalThis as unknown as TestPage).policyscopeTest.sent),
    state: (key) => page.evaluate((name) => (globalThis as unknown as TestPage).policyscopeTest.model.get(name), key),
    receive: (message) =>
      page.evaluate(({ state, content, text }) => {
        const changed = { ...state };
        if (Array.isArray(changed.series)) changed.series = new DataView(Float32Array.from(changed.series).buffer);
        if (Array.isArray(changed.steps)) changed.steps = new DataView(Int32Array.from(changed.steps).buffer);
        (globalThis as unknown as TestPage).policyscopeTest.model.receive({
          ...(state ? { state: changed } : {}),
          ...(content ? { content } : {}),
          ...(text === undefined ? {} : { buffers: [new DataView(new TextEncoder().encode(text).buffer)] }),
        });
      }, message),
  };
}

interface TestPage {
  policyscopeTest: {
    sent: { type?: string; token?: number }[];
    model: { get(key: string): unknown; receive(message: object): void };
  };
}

/** The only model of a saved state. */
export function onlyModel(state: WidgetState): SavedModel {
  const [model] = Object.values(state.state);
  if (!model) throw new Error("the state holds no model");
  return model;
}

/** axe-core's verdict on a part of the page: violations in words, and how many nodes had their contrast checked. */
export async function accessibility(
  page: Page,
  selector: string,
): Promise<{ violations: string[]; contrastNodes: number }> {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  // JupyterLab's body is 0 px high, and axe takes everything in it for clipped.
  await page.addStyleTag({ content: "html, body { height: 100% !important; }" });
  await page.evaluate((source) => {
    new Function("define", "module", "exports", source).call(globalThis);
  }, axe);
  return page.evaluate(async (where) => {
    const { axe } = globalThis as unknown as { axe: { run(where: string): Promise<AxeResult> } };
    const { violations, passes, incomplete } = await axe.run(where);
    const nodes = [...passes, ...violations].filter(({ id }) => id === "color-contrast").flatMap(({ nodes }) => nodes);
    void incomplete;
    return {
      violations: violations.map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary ?? ""}`)
            .slice(0, 3)
            .join(" | ")}`,
      ),
      contrastNodes: nodes.length,
    };
  }, selector);
}

interface AxeResult {
  readonly violations: readonly AxeFinding[];
  readonly passes: readonly AxeFinding[];
  readonly incomplete: readonly AxeFinding[];
}
interface AxeFinding {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}
