import katexPlugin from "@vscode/markdown-it-katex";
import { AnsiUp } from "ansi_up";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import json from "highlight.js/lib/languages/json";
import typescript from "highlight.js/lib/languages/typescript";
import MarkdownIt from "markdown-it";
import type { CodeCell, MimeBundle, Notebook, Output } from "./notebook.js";

hljs.registerLanguage("typescript", typescript);
hljs.registerLanguage("bash", bash);
hljs.registerLanguage("json", json);

/** Draws saved widgets in a page that has neither kernel nor network. */
export interface OfflineWidgets {
  /** What the page needs once, before the first widget: a script, styles. */
  readonly head: string;
  /** An element in which the model's view appears; until then, and without scripts, it shows `twin`. Undefined for an unknown model. */
  element(modelId: string, twin: string): string | undefined;
}

/**
 * A notebook as one HTML file that needs nothing else: text, formulas (MathML), code, outputs, and live widgets where
 * `widgets` can draw them.
 */
export function notebookToHtml(book: Notebook, options: { title: string; widgets?: OfflineWidgets }): string {
  const body = book.cells
    .map((cell) => {
      switch (cell.cell_type) {
        case "markdown":
          return `<section class="cell text">${markdown.render(cell.source)}</section>`;
        case "raw":
          return `<section class="cell text"><pre>${escapeHtml(cell.source)}</pre></section>`;
        case "code":
          return codeCell(cell, options.widgets);
      }
    })
    .join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(options.title)}</title>
<style>${STYLE}</style>
${options.widgets?.head ?? ""}
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}

/** Text as HTML text. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const markdown = new MarkdownIt({ html: true, linkify: true, highlight }).use(katexPlugin.default, {
  output: "mathml",
  throwOnError: false,
});

function highlight(code: string, language: string): string {
  const name = { ts: "typescript", sh: "bash", shell: "bash" }[language] ?? language;
  return hljs.getLanguage(name) ? hljs.highlight(code, { language: name }).value : escapeHtml(code);
}

function codeCell(cell: CodeCell, widgets: OfflineWidgets | undefined): string {
  const prompt = (kind: string) => `<div class="prompt">${kind}[${cell.execution_count ?? " "}]:</div>`;
  const outputs = cell.outputs
    .map(
      (output) =>
        `<div class="output">${output.output_type === "execute_result" ? prompt("") : ""}${outputHtml(output, widgets)}</div>`,
    )
    .join("\n");
  return `<section class="cell code"><div class="input">${prompt("")}<pre class="source"><code>${highlight(cell.source, "typescript")}</code></pre></div>${outputs}</section>`;
}

function outputHtml(output: Output, widgets: OfflineWidgets | undefined): string {
  switch (output.output_type) {
    case "stream":
      return `<pre class="stream ${output.name}">${ansi(output.text)}</pre>`;
    case "error":
      return `<pre class="stream error">${ansi(output.traceback.join("\n") || `${output.ename}: ${output.evalue}`)}</pre>`;
    case "display_data":
    case "execute_result":
      return bundleHtml(output.data, widgets);
  }
}

const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";

function bundleHtml(data: MimeBundle, widgets: OfflineWidgets | undefined): string {
  const view = data[WIDGET_VIEW];
  if (widgets && typeof view === "object" && view !== null && "model_id" in view) {
    const element = widgets.element(String(view.model_id), staticHtml(data));
    if (element !== undefined) return `<div class="rich">${element}</div>`;
  }
  return staticHtml(data);
}

/** What a bundle shows where nothing runs: the richest of its static forms. */
function staticHtml(data: MimeBundle): string {
  const text = (mime: string) => (typeof data[mime] === "string" ? data[mime] : undefined);
  const html = text("text/html") ?? text("image/svg+xml");
  if (html !== undefined) return `<div class="rich">${html}</div>`;
  for (const mime of ["image/png", "image/jpeg", "image/gif", "image/webp"]) {
    const image = text(mime);
    if (image !== undefined)
      return `<div class="rich"><img alt="" src="data:${mime};base64,${image.replace(/\s/g, "")}"></div>`;
  }
  const written = text("text/markdown") ?? text("text/latex");
  if (written !== undefined) return `<div class="rich text">${markdown.render(written)}</div>`;
  if (data["application/json"] !== undefined) {
    return `<pre class="stream"><code>${highlight(JSON.stringify(data["application/json"], null, 2), "json")}</code></pre>`;
  }
  return `<pre class="stream">${ansi(text("text/plain") ?? "")}</pre>`;
}

function ansi(text: string): string {
  const convert = new AnsiUp();
  convert.use_classes = true;
  return convert.ansi_to_html(text);
}

const STYLE = `
:root { color-scheme: light dark; --bg: #fff; --fg: #1f2328; --muted: #656d76; --line: #e3e6ea; --soft: #f6f8fa; --accent: #0b62c4; --red: #b42318; --kw: #8250df; --str: #0a6b3d; --num: #0550ae; --com: #6a737d; --fn: #6639ba;
  --jp-layout-color0: #fff; --jp-layout-color1: #fff; --jp-layout-color2: #f6f8fa; --jp-ui-font-color0: #1f2328; --jp-ui-font-color1: #1f2328; --jp-ui-font-color2: #656d76; --jp-border-color1: #d0d7de; --jp-border-color2: #e3e6ea; }
@media (prefers-color-scheme: dark) { :root { --bg: #111418; --fg: #e6e8eb; --muted: #9aa4af; --line: #2b3138; --soft: #191d22; --accent: #6cb0ff; --red: #ff8a7a; --kw: #c9a6ff; --str: #7bd8a4; --num: #8ec4ff; --com: #8b949e; --fn: #d2a8ff;
  --jp-layout-color0: #111418; --jp-layout-color1: #111418; --jp-layout-color2: #191d22; --jp-ui-font-color0: #e6e8eb; --jp-ui-font-color1: #e6e8eb; --jp-ui-font-color2: #9aa4af; --jp-border-color1: #3a424c; --jp-border-color2: #2b3138; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--fg); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 28px 96px; }
.text { max-width: 760px; }
.text :is(h1, h2, h3) { line-height: 1.25; margin: 1.6em 0 .5em; }
.text h1 { font-size: 2em; margin-top: .4em; } .text h2 { font-size: 1.4em; } .text h3 { font-size: 1.1em; }
a { color: var(--accent); }
code, pre { font: 13px/1.6 ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; }
.text code { background: var(--soft); border-radius: 4px; padding: .1em .35em; } .text pre code { padding: 0; background: none; }
.text pre { background: var(--soft); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; overflow-x: auto; }
.text table, .rich > table { border-collapse: collapse; } .text :is(th, td) { border-bottom: 1px solid var(--line); padding: 4px 14px 4px 0; text-align: left; vertical-align: top; }
.text blockquote { margin: 1em 0; padding: .1em 1em; border-left: 3px solid var(--accent); color: var(--muted); }
.text img { max-width: 100%; }
.code { margin: 20px 0; }
.input { position: relative; } .source { background: var(--soft); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; margin: 0; overflow-x: auto; }
.prompt { position: absolute; right: 12px; top: 8px; color: var(--muted); font: 11px ui-monospace, "DejaVu Sans Mono", monospace; opacity: .8; } .output .prompt { display: none; }
.output { margin: 10px 0 0; } .rich { overflow-x: auto; }
.stream { margin: 0; padding: 4px 16px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 460px; overflow-y: auto; } .stderr { background: color-mix(in srgb, var(--red) 7%, transparent); } .error { background: color-mix(in srgb, var(--red) 10%, transparent); border-radius: 8px; padding: 12px 16px; }
.hljs-keyword, .hljs-literal, .hljs-type { color: var(--kw); } .hljs-string, .hljs-regexp { color: var(--str); } .hljs-number { color: var(--num); } .hljs-comment { color: var(--com); font-style: italic; } .hljs-title, .hljs-attr { color: var(--fn); }
.ansi-red-fg, .ansi-bright-red-fg { color: var(--red); } .ansi-green-fg, .ansi-bright-green-fg { color: var(--str); } .ansi-blue-fg, .ansi-bright-blue-fg { color: var(--num); } .ansi-yellow-fg, .ansi-bright-yellow-fg { color: #9a6700; } .ansi-magenta-fg, .ansi-bright-magenta-fg { color: var(--kw); } .ansi-cyan-fg, .ansi-bright-cyan-fg { color: #1b7c83; } .ansi-bright-black-fg, .ansi-black-fg { color: var(--muted); }
@media (prefers-color-scheme: dark) { .ansi-yellow-fg, .ansi-bright-yellow-fg { color: #e3b341; } .ansi-cyan-fg, .ansi-bright-cyan-fg { color: #6fd3da; } }
`;
