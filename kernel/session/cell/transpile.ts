/** TypeScript to JavaScript, in process: oxc-transform, and TypeScript itself for decorators and (before Node 24) `using`, which oxc leaves alone. */
import { createRequire } from "node:module";
import process from "node:process";
import { type Node, walk } from "./syntax.js";

const require = createRequire(import.meta.url);

/** The reader of source maps, loaded at the first call: a cell that is JavaScript has no map. */
export function traceMapping(): typeof import("@jridgewell/trace-mapping") {
  return require("@jridgewell/trace-mapping") as typeof import("@jridgewell/trace-mapping");
}

/** A source map, version 3. */
export interface SourceMapJson {
  readonly version: 3;
  readonly sources: string[];
  readonly names: string[];
  readonly mappings: string;
}

/** How a program that V8 would not take becomes one that it does. */
export interface Lowering {
  /** TypeScript's own printer is needed: decorators, `using` on an older Node, namespaces in several parts. */
  readonly byTypeScript: boolean;
  /** `using` stands at the top level, so the printer wraps all statements. */
  readonly usingAtTop: boolean;
  /** What tsconfig.json asks for of what TypeScript had before the standard: its own decorators, fields that are assigned. */
  readonly legacy:
    | { readonly decorators: boolean; readonly metadata: boolean; readonly defineFields: boolean }
    | undefined;
}

const nativeUsing = Number(process.versions.node.split(".")[0]) >= 24;

/** What a program needs before V8 takes it; undefined: nothing. `legacyOf` is asked only where there is a class. */
export function loweringOf(program: Node, legacyOf: () => Lowering["legacy"] = () => undefined): Lowering | undefined {
  let classes = false;
  let fields = false;
  let found = false;
  let byTypeScript = false;
  let usingAtTop = false;
  const namespaces = new Set<string>();
  walk(program, 0, (node, depth) => {
    if (node.type.startsWith("TS") || node.accessibility || node.typeAnnotation || node.optional === true) {
      if (!(node.type === "CallExpression" || node.type === "MemberExpression")) found = true;
    }
    if (
      node.declare === true ||
      node.abstract === true ||
      node.override === true ||
      node.definite === true ||
      node.readonly === true ||
      node.importKind === "type" ||
      node.exportKind === "type"
    )
      found = true;
    if (node.type === "ClassBody") classes = true;
    if (node.type === "PropertyDefinition") fields = true;
    if (node.type === "Decorator" || node.type === "AccessorProperty") byTypeScript = true;
    if (node.type === "VariableDeclaration" && (node.kind === "using" || node.kind === "await using") && !nativeUsing) {
      byTypeScript = true;
      if (depth === 1) usingAtTop = true;
    }
    if (node.type === "TSModuleDeclaration" || node.type === "TSEnumDeclaration") {
      // Only TypeScript knows that a name in the second part is a member that the first part exports.
      const name = String((node.id as Node).name);
      if (namespaces.has(name)) byTypeScript = true;
      namespaces.add(name);
    }
    return depth + 1;
  });
  const legacy = classes ? legacyOf() : undefined;
  if (fields && legacy?.defineFields === false) byTypeScript = true;
  return found || byTypeScript ? { byTypeScript, usingAtTop, legacy } : undefined;
}

/**
 * Code without types, and the map back. Native libraries are loaded at the first call. `isModule`: a whole file, so that what it imports and
 * uses as a type only is left out; a cell's imports may be used by later cells.
 */
export function stripTypes(
  code: string,
  lowering: Lowering,
  file = "cell.ts",
  isModule = false,
): { code: string; map: SourceMapJson } {
  if (lowering.byTypeScript) return lower(code, file, lowering, isModule);
  const { transformSync } = require("oxc-transform") as typeof import("oxc-transform");
  const result = transformSync(file, code, {
    lang: "ts",
    sourceType: "module",
    sourcemap: true,
    target: "esnext",
    typescript: { onlyRemoveTypeImports: !isModule },
  });
  const error = result.errors[0];
  if (error) {
    const before = code.slice(0, error.labels[0]?.start ?? 0).split("\n");
    throw new SyntaxError(`${error.message} at ${file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`);
  }
  return { code: result.code, map: clean(result.map as unknown as SourceMapJson) };
}

function lower(
  code: string,
  file: string,
  lowering: Lowering,
  isModule: boolean,
): { code: string; map: SourceMapJson } {
  const { ts, options } = printer(lowering, isModule);
  const result = ts.transpileModule(code, {
    fileName: file,
    compilerOptions: { ...options, module: ts.ModuleKind.ESNext, sourceMap: true },
  });
  return {
    code: result.outputText.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, ""),
    map: clean(JSON.parse(result.sourceMapText ?? "{}")),
  };
}

/** A whole TypeScript module as CommonJS, with its source map inside. */
export function commonJs(code: string, file: string, lowering: Lowering): string {
  const { ts, options } = printer(lowering, true);
  return ts.transpileModule(code, {
    fileName: file,
    compilerOptions: {
      ...options,
      module: ts.ModuleKind.CommonJS,
      esModuleInterop: true,
      inlineSourceMap: true,
      inlineSources: true,
    },
  }).outputText;
}

function printer({ legacy }: Lowering, isModule: boolean) {
  const ts = require("typescript") as typeof import("typescript");
  const options = {
    target: ts.ScriptTarget.ES2022,
    verbatimModuleSyntax: !isModule,
    experimentalDecorators: legacy?.decorators === true,
    emitDecoratorMetadata: legacy?.metadata === true,
    useDefineForClassFields: legacy?.defineFields ?? true,
  };
  return { ts, options };
}

function clean(map: SourceMapJson): SourceMapJson {
  return { version: 3, sources: ["cell"], names: [], mappings: map.mappings };
}

/** The map from the last text to the first, given the maps of two steps (`outer` is the later one). */
export function composeMaps(
  outer: SourceMapJson | undefined,
  inner: SourceMapJson | undefined,
): SourceMapJson | undefined {
  if (!outer || !inner) return outer ?? inner;
  const { decodedMappings, encodedMap, originalPositionFor, TraceMap } = traceMapping();
  const first = new TraceMap(inner);
  const decoded = new TraceMap(outer);
  const lines: [number, number, number, number][][] = [];
  for (const segments of decodedMappings(decoded)) {
    const line: [number, number, number, number][] = [];
    for (const segment of segments) {
      if (segment.length === 1) continue;
      const found = originalPositionFor(first, { line: segment[2] + 1, column: segment[3] });
      if (found.line !== null && found.column !== null) line.push([segment[0], 0, found.line - 1, found.column]);
    }
    lines.push(line);
  }
  const composed = new TraceMap({ version: 3, sources: ["cell"], names: [], mappings: lines } as ConstructorParameters<
    typeof TraceMap
  >[0]);
  return { version: 3, sources: ["cell"], names: [], mappings: String(encodedMap(composed).mappings) };
}
