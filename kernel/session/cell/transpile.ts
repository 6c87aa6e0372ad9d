/** TypeScript to JavaScript, in process: oxc-transform, and TypeScript itself for decorators and (before Node 24) `using`, which oxc leaves alone. */
import { createRequire } from "node:module";
import { decodedMappings, encodedMap, originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";

const require = createRequire(import.meta.url);

/** A source map, version 3. */
export interface SourceMapJson {
  readonly version: 3;
  readonly sources: string[];
  readonly names: string[];
  readonly mappings: string;
}

/** Code without types, and the map back. Native libraries are loaded at the first call. */
export function stripTypes(
  code: string,
  need: { readonly decorators: boolean; readonly using: boolean },
  file = "cell.ts",
): { code: string; map: SourceMapJson } {
  if (need.decorators || need.using) return lower(code, file);
  const { transformSync } = require("oxc-transform") as typeof import("oxc-transform");
  const result = transformSync(file, code, {
    lang: "ts",
    sourceType: "module",
    sourcemap: true,
    target: "esnext",
    typescript: { onlyRemoveTypeImports: true },
  });
  const error = result.errors[0];
  if (error) {
    const before = code.slice(0, error.labels[0]?.start ?? 0).split("\n");
    throw new SyntaxError(`${error.message} at ${file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`);
  }
  return { code: result.code, map: clean(result.map as unknown as SourceMapJson) };
}

function lower(code: string, file: string): { code: string; map: SourceMapJson } {
  const ts = require("typescript") as typeof import("typescript");
  const result = ts.transpileModule(code, {
    fileName: file,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      sourceMap: true,
      useDefineForClassFields: true,
    },
  });
  return {
    code: result.outputText.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, ""),
    map: clean(JSON.parse(result.sourceMapText ?? "{}")),
  };
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
