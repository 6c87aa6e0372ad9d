/** From what the checker proposes to what a front end is told: which entries, in what order, as what kind, replacing what. */
import { join } from "node:path";
import ts from "typescript";
import type { CompletionItem } from "./answers.js";
import { installedPackages } from "./exportIndex.js";
import { filesNamed } from "./fileNames.js";

/** The text before a cursor that stands in the name of a module. */
const IMPORT_STRING = /\b(?:from\s*|import\s*|import\(\s*|require\(\s*)["']([^"'\n]*)$/;

/** Packages installed for the notebook or beside the kernel, inside an import's string. */
export function packageNames(
  code: string,
  offset: number,
  known: readonly CompletionItem[],
  folders: readonly string[],
  own: string,
): CompletionItem[] {
  const typed = IMPORT_STRING.exec(code.slice(0, offset))?.[1];
  if (typed === undefined || typed.startsWith(".") || typed.startsWith("/") || typed.startsWith("node:")) return [];
  const names = new Set([own, ...folders.flatMap((folder) => installedPackages(join(folder, "node_modules")))]);
  for (const { text } of known) names.delete(text);
  return [...names]
    .filter((name) => name.startsWith(typed) && !name.startsWith("@types/"))
    .sort()
    .slice(0, 100)
    .map(
      (text): CompletionItem => ({ start: offset - typed.length, end: offset, text, type: "module", signature: "" }),
    );
}

/** Whether `offset` stands in a function that may not await. */
export function functionAround(code: string, offset: number): boolean {
  let found = false;
  const visit = (node: ts.Node): void => {
    if (node.pos > offset || node.end < offset) return;
    if (ts.isFunctionLike(node))
      found = !(
        ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.AsyncKeyword)
      );
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("cell.ts", code, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS));
  return found;
}

export function wordStart(code: string, offset: number): number {
  return offset - (/#?[\p{ID_Continue}$\u200c\u200d]*$/u.exec(code.slice(0, offset))?.[0].length ?? 0);
}

/** What has been typed of an entry, in lower case: some replace more than the word before the cursor. */
export function prefixOf(
  entry: ts.CompletionEntry,
  typed: string,
  shift: number,
  code: string,
  offset: number,
): string {
  const span = entry.insertText?.startsWith("?.") ? undefined : entry.replacementSpan;
  if (span === undefined || entry.insertText !== undefined) return typed.toLowerCase();
  return code.slice(span.start - shift, offset).toLowerCase();
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** First what is named exactly as typed, then what begins so, then what does so when case is ignored; deprecated names last. */
export function rank(entry: ts.CompletionEntry, typed: string): number {
  if (/\bdeprecated\b/.test(entry.kindModifiers ?? "")) return 3;
  return entry.name === typed ? 0 : entry.name.startsWith(typed) ? 1 : 2;
}

/** The checker leaves out what every object has; whoever types its first letters means it. */
export function everyObject(
  known: readonly CompletionItem[],
  start: number,
  end: number,
  typed: string,
): CompletionItem[] {
  if (typed === "") return [];
  return Object.getOwnPropertyNames(Object.prototype)
    .filter((name) => name.startsWith(typed) && !name.startsWith("_") && !known.some(({ text }) => text === name))
    .map((text): CompletionItem => ({ start, end, text, type: "function", signature: "" }));
}

/** Items without repetition that all replace the same text, as a front end that reads one place for all of them needs it. */
export function alignedItems(
  code: string,
  items: readonly CompletionItem[],
  from: number,
  offset: number,
): { start: number; end: number; items: CompletionItem[] } {
  const start = Math.min(...items.map((item) => item.start), items[0]?.start ?? from);
  const unique = new Map<string, CompletionItem>();
  for (const item of items) {
    const text = code.slice(start, item.start) + item.text;
    if (!unique.has(text)) unique.set(text, { ...item, start, text });
  }
  return { start, end: items[0]?.end ?? offset, items: [...unique.values()] };
}

export function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").replace(/^\([\w ]+\) /, "");
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
}

/** The icon and word that front ends know for a kind of declaration. */
export function iconOf(kind: ts.ScriptElementKind, signature: string): string {
  switch (kind) {
    case ts.ScriptElementKind.alias:
      return (
        /^(function|class|interface|type|enum|module|namespace)\b/
          .exec(signature)?.[1]
          ?.replace("namespace", "module") ?? "variable"
      );
    case ts.ScriptElementKind.functionElement:
    case ts.ScriptElementKind.localFunctionElement:
    case ts.ScriptElementKind.memberFunctionElement:
    case ts.ScriptElementKind.callSignatureElement:
    case ts.ScriptElementKind.constructSignatureElement:
      return "function";
    case ts.ScriptElementKind.classElement:
    case ts.ScriptElementKind.localClassElement:
      return "class";
    case ts.ScriptElementKind.interfaceElement:
      return "interface";
    case ts.ScriptElementKind.typeElement:
    case ts.ScriptElementKind.typeParameterElement:
    case ts.ScriptElementKind.primitiveType:
      return "type";
    case ts.ScriptElementKind.enumElement:
      return "enum";
    case ts.ScriptElementKind.moduleElement:
    case ts.ScriptElementKind.externalModuleName:
      return "module";
    case ts.ScriptElementKind.directory:
    case ts.ScriptElementKind.scriptElement:
      return "path";
    case ts.ScriptElementKind.keyword:
      return "keyword";
    case ts.ScriptElementKind.parameterElement:
      return "param";
    case ts.ScriptElementKind.memberVariableElement:
    case ts.ScriptElementKind.memberGetAccessorElement:
    case ts.ScriptElementKind.memberSetAccessorElement:
    case ts.ScriptElementKind.memberAccessorVariableElement:
    case ts.ScriptElementKind.enumMemberElement:
      return "property";
    case ts.ScriptElementKind.string:
      return "text";
    default:
      return "variable";
  }
}

/** File names for a string that looks like a path; in an import only what can be imported. */
export function pathInString(
  code: string,
  offset: number,
  directory: string,
  bare: boolean,
): { start: number; items: CompletionItem[] } | undefined {
  const before = code.slice(0, offset);
  const typed =
    /["'`]((?:\.{1,2}|~)?\/[^"'`\n]*|[\w.-]+\/[^"'`\n]*)$/.exec(before)?.[1] ??
    (bare ? /["'`]([\w.-]+)$/.exec(before)?.[1] : undefined);
  if (typed === undefined) return undefined;
  const imports = IMPORT_STRING.test(before);
  if (imports && !/^\.{0,2}\//.test(typed)) return undefined;
  const slash = typed.lastIndexOf("/") + 1;
  const wanted = imports ? /\.(?:[mc]?[jt]s|json|node|wasm)$/ : /(?:)/;
  const items = filesNamed(typed, offset, directory, wanted);
  return items && (slash > 0 || items.length > 0) ? { start: offset - (typed.length - slash), items } : undefined;
}
