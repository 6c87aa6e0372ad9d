/** What tsconfig.json next to a notebook or a local module means for running it: where imports may lead, and which decorators are meant. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { type Node, parse } from "../cell/syntax.js";
import type { Lowering } from "../cell/transpile.js";
import { stampOf } from "./localFile.js";

/** The settings that count when code runs. */
export interface ProjectSettings {
  /** `paths`, in the order in which they are tried. */
  readonly paths: readonly { readonly pattern: string; readonly targets: readonly string[] }[];
  readonly baseUrl: string | undefined;
  readonly legacy: Lowering["legacy"];
}

type Options = Readonly<Record<string, unknown>>;

const none: ProjectSettings = { paths: [], baseUrl: undefined, legacy: undefined };
const known = new Map<string, { readonly stamp: string; readonly settings: ProjectSettings }>();
const MAX_EXTENDS = 20;

/** Settings of the nearest tsconfig.json at or above a folder. One that cannot be read counts as empty: the checker says what is wrong with it. */
export function settingsFor(folder: string): ProjectSettings {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, "tsconfig.json");
    const stamp = stampOf(file);
    if (stamp !== undefined) {
      const before = known.get(file);
      if (before?.stamp === stamp) return before.settings;
      const settings = toSettings(readOptions(file, 0), at);
      known.set(file, { stamp, settings });
      return settings;
    }
    if (dirname(at) === at) return none;
  }
}

/** Where `paths` and `baseUrl` say that an import may lead, best first, as paths of files that may or may not be there. */
export function mappedPaths(specifier: string, folder: string): string[] {
  if (/^(?:\.{1,2}(?:\/|$)|\/|[a-z]+:)/.test(specifier)) return [];
  const { paths, baseUrl } = settingsFor(folder);
  const found: string[] = [];
  for (const { pattern, targets } of paths) {
    const [before = "", after] = pattern.split("*");
    const fits =
      after === undefined
        ? specifier === pattern
        : specifier.length >= before.length + after.length && specifier.startsWith(before) && specifier.endsWith(after);
    if (!fits) continue;
    const star = after === undefined ? "" : specifier.slice(before.length, specifier.length - after.length);
    found.push(...targets.map((target) => target.replace("*", () => star)));
    break;
  }
  if (baseUrl !== undefined) found.push(resolve(baseUrl, specifier));
  return found;
}

function toSettings(options: Options, folder: string): ProjectSettings {
  const base = typeof options.baseUrl === "string" ? options.baseUrl : undefined;
  const from = base ?? (typeof options.pathsFrom === "string" ? options.pathsFrom : folder);
  const paths = Object.entries(isRecord(options.paths) ? options.paths : {})
    .flatMap(([pattern, targets]) =>
      Array.isArray(targets)
        ? [{ pattern, targets: targets.filter((t) => typeof t === "string").map((t) => resolve(from, t)) }]
        : [],
    )
    // As TypeScript does: the exact one, then the one with the longest text before its star.
    .sort((a, b) => rank(b.pattern) - rank(a.pattern));
  const legacy =
    options.experimentalDecorators === true || options.useDefineForClassFields === false
      ? {
          decorators: options.experimentalDecorators === true,
          metadata: options.emitDecoratorMetadata === true,
          defineFields: options.useDefineForClassFields !== false,
        }
      : undefined;
  return { paths, baseUrl: base, legacy };
}

function rank(pattern: string): number {
  const star = pattern.indexOf("*");
  return star < 0 ? Number.POSITIVE_INFINITY : star;
}

/** compilerOptions of a file over those that it extends; `baseUrl` is absolute, and `pathsFrom` the folder that `paths` start from. */
function readOptions(file: string, depth: number): Options {
  const config = readJson(file);
  if (!isRecord(config) || depth > MAX_EXTENDS) return {};
  const folder = dirname(file);
  const parents = Array.isArray(config.extends) ? config.extends : [config.extends];
  let options: Options = {};
  for (const parent of parents) {
    const found = typeof parent === "string" ? extended(parent, folder) : undefined;
    if (found) options = { ...options, ...readOptions(found, depth + 1) };
  }
  const own = isRecord(config.compilerOptions) ? config.compilerOptions : {};
  return {
    ...options,
    ...own,
    ...(typeof own.baseUrl === "string" && { baseUrl: resolve(folder, own.baseUrl) }),
    ...(own.paths !== undefined && { pathsFrom: folder }),
  };
}

function extended(parent: string, folder: string): string | undefined {
  const path = isAbsolute(parent) || parent.startsWith(".") ? resolve(folder, parent) : undefined;
  if (path !== undefined) return [path, `${path}.json`].find((one) => stampOf(one) !== undefined);
  const require = createRequire(join(folder, "tsconfig.json"));
  for (const one of [parent, `${parent}.json`, `${parent}/tsconfig.json`]) {
    try {
      return require.resolve(one);
    } catch {
      // The next spelling, then.
    }
  }
  return undefined;
}

/** JSON with comments and trailing commas is an expression of JavaScript. */
function readJson(file: string): unknown {
  try {
    const { program, errors } = parse("tsconfig.js", `(${readFileSync(file, "utf8").replace(/^\uFEFF/, "")}\n)`);
    const statement = (program.body as Node[])[0];
    if (errors.length > 0 || statement?.type !== "ExpressionStatement") return undefined;
    return jsonValue(statement.expression as Node);
  } catch {
    return undefined;
  }
}

function jsonValue(node: Node): unknown {
  switch (node.type) {
    case "ParenthesizedExpression":
      return jsonValue(node.expression as Node);
    case "Literal":
      return node.value;
    case "ArrayExpression":
      return (node.elements as (Node | null)[]).map((element) => element && jsonValue(element));
    case "ObjectExpression":
      return Object.fromEntries(
        (node.properties as Node[]).flatMap((property) => {
          const key = property.key as Node | undefined;
          return key ? [[String(key.value ?? key.name), jsonValue(property.value as Node)]] : [];
        }),
      );
    default:
      return undefined;
  }
}

function isRecord(value: unknown): value is Options {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
