import type { Diagnostic, Inspection } from "./answers.js";
import type { TypeInfo } from "./jobs.js";

/** A reader of more has long begun to mend the first. */
const SHOWN_DIAGNOSTICS = 20;
const FRAME_WIDTH = 160;

/** A hover: signature, current value, documentation, tags, definition; whatever of them is known. */
export function presentInspection(
  types: TypeInfo | undefined,
  value: Readonly<Record<string, unknown>> | undefined,
): Inspection {
  const text = typeof value?.["text/plain"] === "string" ? value["text/plain"] : undefined;
  if (types === undefined && text === undefined) return { found: false, data: {} };
  const tags = types?.tags ?? [];
  const plain: string[] = [];
  const markdown: string[] = [];
  const html: string[] = [];
  if (types !== undefined) {
    plain.push(types.signature);
    markdown.push(fenced(types.signature));
    html.push(`<pre>${escaped(types.signature)}</pre>`);
  }
  if (types?.documentation) {
    plain.push(types.documentation);
    markdown.push(types.documentation);
    html.push(`<p>${escaped(types.documentation).replaceAll("\n", "<br>")}</p>`);
  }
  if (tags.length > 0) {
    plain.push(tags.map(({ name, text: about }) => `@${name} ${about}`.trim()).join("\n"));
    markdown.push(
      tags
        .map(({ name, text: about }) =>
          name === "example" ? `*@example*\n${about.includes("```") ? about : fenced(about)}` : `*@${name}* ${about}`,
        )
        .join("\n\n"),
    );
    html.push(
      `<p>${tags.map(({ name, text: about }) => `<em>@${escaped(name)}</em> ${escaped(about)}`).join("<br>")}</p>`,
    );
  }
  if (text !== undefined) {
    plain.push(`Value: ${text}`);
    markdown.push(`**Value**\n\n${fenced(withoutColour(text), "")}`);
    html.push(`<strong>Value</strong><pre>${escaped(withoutColour(text))}</pre>`);
  }
  if (types?.definition !== undefined) {
    const { text: source, where } = types.definition;
    plain.push(`Defined in ${where}:\n${source}`);
    markdown.push(`Defined in \`${where}\`\n\n${fenced(source)}`);
    html.push(`<p>Defined in <code>${escaped(where)}</code></p><pre>${escaped(source)}</pre>`);
  }
  return {
    found: true,
    data: { "text/plain": plain.join("\n\n"), "text/markdown": markdown.join("\n\n"), "text/html": html.join("\n") },
  };
}

/** Findings as text with caret frames, ready for stderr; in the order of the cell. */
export function presentDiagnostics(
  diagnostics: readonly Diagnostic[],
  executionCount: number,
  colour: boolean,
): string {
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[39m` : text);
  const more = diagnostics.length - SHOWN_DIAGNOSTICS;
  return diagnostics
    .slice(0, SHOWN_DIAGNOSTICS)
    .map(({ category, code, message, line, column, frame }) => {
      const [source = "", carets = ""] = cutFrame(frame.split("\n"));
      const margin = String(line);
      const gutter = " ".repeat(margin.length);
      return [
        `${paint(category === "error" ? 33 : 36, category === "error" ? "type error" : category)} TS${code} in cell ${executionCount}, ${line}:${column}: ${message}`,
        `  ${margin} | ${source}`,
        `  ${gutter} | ${paint(33, carets)}`,
        "",
      ].join("\n");
    })
    .concat(more > 0 ? [`... and ${more} more type errors in cell ${executionCount}\n`] : [])
    .join("");
}

/** A long line shortened to what stands around its carets. */
function cutFrame([source = "", carets = ""]: readonly string[]): [string, string] {
  if (source.length <= FRAME_WIDTH) return [source, carets];
  const from = Math.max(0, carets.search(/\S/) - FRAME_WIDTH / 2);
  const cut = (text: string): string => (from > 0 ? "…" : "") + text.slice(from, from + FRAME_WIDTH);
  return [`${cut(source)}…`, from > 0 ? ` ${carets.slice(from, from + FRAME_WIDTH)}` : carets.slice(0, FRAME_WIDTH)];
}

/** A fence that no run of backticks in the text can close. */
function fenced(text: string, language = "typescript"): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

function withoutColour(text: string): string {
  return text.replace(/\u001b\[[\d;]*m/g, "");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
