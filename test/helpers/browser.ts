import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import type { WidgetState } from "../../widgets/export.js";
import { offlineWidgets } from "../../widgets/export.js";
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
