import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ParserOptions } from "oxc-parser";
import ts from "typescript";
import { parse } from "../session/cell/syntax.js";
import type { Completion, CompletionItem, Diagnostic } from "./answers.js";
import { CellModules } from "./cellModules.js";
import {
  alignedItems,
  compare,
  everyObject,
  functionAround,
  iconOf,
  oneLine,
  packageNames,
  pathInString,
  prefixOf,
  rank,
  wordStart,
} from "./completionItems.js";
import { ExportIndex, proposedPackages } from "./exportIndex.js";
import { ancestors, declarationsNear, normal, packageName, packageRoot } from "./folders.js";
import { globalsFrom } from "./globals.js";
import type { TypeInfo } from "./jobs.js";
import { lexical } from "./lexical.js";
import { blankMagics } from "./magicLines.js";

/** Where the kernel itself is installed: types not found from the notebook's folder are looked for here. */
const KERNEL_ROOT = packageRoot(dirname(fileURLToPath(import.meta.url)));
const KERNEL_NAME = packageName(KERNEL_ROOT);
const KERNEL_GLOBALS = globalsFrom(join(KERNEL_ROOT, "dist/kernel/index.d.ts"));

/** Findings that are about modules, not about what the user wrote: cells are scripts to the user. */
const NOT_ABOUT_CELLS = new Set([
  1375,
  1378,
  1432, // top-level await needs a module
  2632, // an earlier cell's binding is an import to the checker; the session lets it be assigned
  2669,
  2670, // augmentations of the global scope
  2303,
  2449, // circular imports of a redeclared name
]);

/** How the session reads a cell that it may refuse to run. */
const REFUSED: ParserOptions = { sourceType: "module", showSemanticErrors: true };

/** The longest time one completion request spends on writing signatures. */
const SIGNATURE_BUDGET_MS = 12;

/**
 * A notebook as a TypeScript program: earlier cells (CellModules), the kernel's globals, and one scratch module that holds the
 * cell being looked at. Everything is synchronous; it runs in the language worker.
 */
export class NotebookProgram {
  readonly #busy: () => boolean;
  #directory: string;
  #globals: string;
  #cells: CellModules;
  #options: ts.CompilerOptions = {};
  #ambientFiles: readonly string[] = [];
  #configStamp = "";
  #scratch = { text: "", version: 0 };
  #service: ts.LanguageService;
  /** Counts what changes the program beside the scratch module: cells added, tsconfig.json edited. */
  #structure = 0;
  #checking = false;
  readonly #registry = ts.createDocumentRegistry();
  #exports = new ExportIndex();
  /** Packages whose exports are not in the index yet; undefined before the first. */
  #unindexed: string[] | undefined;
  #modules: ReadonlyMap<string, string> | undefined;
  #localFiles: readonly string[] = [];
  readonly #resolved = new Map<string, ts.ResolvedModuleWithFailedLookupLocations>();

  /** `busy` says whether somebody waits for an answer: a check of a whole cell is then given up. */
  constructor(directory: string, busy: () => boolean) {
    this.#busy = busy;
    this.#directory = normal(directory);
    this.#cells = new CellModules(this.#directory);
    this.#globals = `${this.#directory}/__kernel_globals__.d.ts`;
    this.#readConfig();
    this.#service = this.#createService();
  }

  /** Forgets all cells; another folder has other packages and another tsconfig.json. */
  reset(directory: string): void {
    const moved = normal(directory) !== this.#directory;
    this.#cells.clear();
    this.#modules = undefined;
    this.#resolved.clear();
    this.#structure++;
    if (!moved) return;
    this.#directory = normal(directory);
    this.#cells = new CellModules(this.#directory);
    this.#globals = `${this.#directory}/__kernel_globals__.d.ts`;
    this.#configStamp = "";
    this.#readConfig();
    this.#service.dispose();
    this.#service = this.#createService();
    this.#unindexed = undefined;
  }

  add(source: string, cell: number): void {
    this.#cells.add(source, cell);
    this.#modules = undefined;
    this.#structure++;
  }

  /** Loads what every later answer needs: libraries, Node's types, the checker. */
  warm(): void {
    const code = "const warm = [1, 2].map((x) => x); console.log(warm); process.";
    this.complete(code, code.length);
    this.inspect(code, code.indexOf("map") + 1, false);
  }

  /** One piece of work for a moment when nobody waits: reads the exports of one more package. False when all is done. */
  idle(): boolean {
    if (this.#unindexed === undefined) {
      this.#exports = new ExportIndex();
      this.#unindexed = [...new Set([...proposedPackages(this.#directory), KERNEL_NAME])];
      const checker = this.#service.getProgram()?.getTypeChecker();
      for (const symbol of checker?.getAmbientModules() ?? []) {
        const name = symbol.name.slice(1, -1);
        if (name.startsWith("node:") && checker !== undefined) this.#exports.addModule(name, symbol, checker);
      }
      return true;
    }
    const name = this.#unindexed.shift();
    if (name === undefined) return false;
    const code = `import * as all from ${JSON.stringify(name)};`;
    const fileName = this.#place("", code);
    const program = this.#service.getProgram();
    const statement = program?.getSourceFile(fileName)?.statements[0];
    if (program === undefined || statement === undefined || !ts.isImportDeclaration(statement)) return true;
    const symbol = program.getTypeChecker().getSymbolAtLocation(statement.moduleSpecifier);
    if (symbol !== undefined) this.#exports.addModule(name, symbol, program.getTypeChecker());
    return true;
  }

  /** `root`: where the chain begins whose member is being typed. */
  complete(source: string, offset: number, root?: number): Completion {
    const code = blankMagics(source, true);
    const { fileName, shift } = this.#show(code);
    const start = wordStart(code, offset);
    const ownName = root !== undefined && this.#declaredIn(fileName, root, shift) !== undefined;
    const empty: Completion = { start, end: offset, items: [], source: "types" };
    const found = this.#service.getCompletionsAtPosition(fileName, offset + shift, {
      includeCompletionsWithInsertText: true,
      includeCompletionsForModuleExports: false,
      importModuleSpecifierEnding: "js",
      quotePreference: "double",
    });
    this.#noteLocalFiles();
    const path = pathInString(code, offset, this.#directory, found === undefined);
    if (path !== undefined) return { ...empty, start: path.start, items: path.items };
    if (found === undefined) {
      const member = /(?:^|[^\d]|[\p{ID_Start}$_]\d+)\.\s*$/u.test(code.slice(0, start));
      return {
        ...empty,
        start,
        items: member ? everyObject([], start, offset, code.slice(start, offset)) : [],
        closed: !member,
      };
    }
    const span = found.optionalReplacementSpan;
    const from = span === undefined ? start : Math.min(span.start - shift, offset);
    const typed = code.slice(from, offset);
    const entries = found.entries
      .filter(
        (entry) =>
          entry.name.toLowerCase().startsWith(prefixOf(entry, typed, shift, code, offset)) &&
          !/^__(cell|kernel_globals)_/.test(entry.name) &&
          !entry.insertText?.startsWith("["), // The dot before it would have to go.
      )
      .sort((a, b) => rank(a, typed) - rank(b, typed) || compare(a.sortText, b.sortText) || compare(a.name, b.name));
    const deadline = performance.now() + SIGNATURE_BUDGET_MS;
    const items = entries.map((entry): CompletionItem => {
      // Where the object may be undefined, "?." would have to replace the dot, before the place that all items share.
      const plain = entry.insertText?.startsWith("?.") === true;
      const replaced = plain ? undefined : entry.replacementSpan;
      const details =
        performance.now() < deadline && entry.kind !== ts.ScriptElementKind.keyword
          ? this.#service.getCompletionEntryDetails(
              fileName,
              offset + shift,
              entry.name,
              {},
              entry.source,
              undefined,
              entry.data,
            )
          : undefined;
      const documentation = ts.displayPartsToString(details?.documentation).split("\n\n")[0];
      const signature = oneLine(this.#cleaned(ts.displayPartsToString(details?.displayParts)));
      return {
        start: replaced === undefined ? from : replaced.start - shift,
        end: replaced === undefined ? offset : replaced.start + replaced.length - shift,
        text: plain ? entry.name : (entry.insertText ?? entry.name),
        type: iconOf(entry.kind, signature),
        signature,
        ...(documentation ? { documentation } : {}),
      };
    });
    if (found.isMemberCompletion && /\.\s*$/.test(code.slice(0, from)))
      items.push(...everyObject(items, from, offset, typed));
    items.push(...packageNames(code, offset, items, ancestors(this.#directory), KERNEL_NAME));
    const global = found.entries.some((entry) => entry.name === "globalThis");
    if (global) items.push(...this.#importable(code, from, offset, found.entries));
    const closed = items.length > 0 && (root === undefined ? !global : ownName);
    return { ...alignedItems(code, items, from, offset), source: "types", closed };
  }

  /** Where in the cell the name at `offset` is declared: "top" level or an "inner" one; undefined when it is elsewhere. */
  #declaredIn(fileName: string, offset: number, shift: number): "top" | "inner" | undefined {
    const program = this.#service.getProgram();
    const file = program?.getSourceFile(fileName);
    if (program === undefined || file === undefined) return undefined;
    let node: ts.Node = file;
    for (let inner: ts.Node | undefined = file; inner !== undefined; ) {
      node = inner;
      inner = node
        .getChildren(file)
        .find((child) => child.getStart(file) <= offset + shift && offset + shift < child.end);
    }
    if (!ts.isIdentifier(node)) return undefined;
    const declaration = program.getTypeChecker().getSymbolAtLocation(node)?.declarations?.[0];
    if (declaration === undefined || declaration.getSourceFile() !== file || declaration.end <= shift) return undefined;
    return ts.findAncestor(declaration, (above) => ts.isFunctionLike(above.parent) || ts.isBlock(above))
      ? "inner"
      : "top";
  }

  /**
   * Names that some package exports and nobody has imported. The protocol can only replace the word itself, so a word alone on
   * its line becomes an import statement, and one in an expression an awaited import where that can stand.
   */
  #importable(code: string, start: number, offset: number, entries: readonly ts.CompletionEntry[]): CompletionItem[] {
    const typed = code.slice(start, offset);
    if (typed.length < 4) return [];
    const known = new Set(entries.map((entry) => entry.name));
    const line = code.slice(code.lastIndexOf("\n", start - 1) + 1, start);
    const rest = code.slice(offset).split("\n", 1)[0] ?? "";
    const statement = line.trim() === "" && rest.trim() === "" && lexical(code.slice(0, start)).open.length === 0;
    if (!statement && functionAround(code, start)) return [];
    return this.#exports
      .find(typed, 20)
      .filter(({ name, typeOnly }) => !known.has(name) && (statement || !typeOnly))
      .map(({ name, module, typeOnly, type }): CompletionItem => {
        const text = statement
          ? `import ${typeOnly ? "type " : ""}{ ${name} } from ${JSON.stringify(module)};`
          : `(await import(${JSON.stringify(module)})).${name}`;
        return { start, end: offset, text, type, signature: `${name} from ${module}` };
      });
  }

  /** What stands at `offset`; with `definition` also the text that declares it. */
  inspect(source: string, offset: number, definition: boolean): TypeInfo | undefined {
    const code = blankMagics(source, true);
    const { fileName, shift } = this.#show(code);
    for (const at of inspectionPoints(code, offset)) {
      const info = this.#told(fileName, at + shift, definition);
      if (info !== undefined)
        return this.#declaredIn(fileName, at, shift) === "inner" ? { ...info, local: true } : info;
    }
    if (lexical(code.slice(0, offset)).inside !== "code") return undefined;
    // The name of a type is none of a value's: it is asked for again where a type may stand.
    const word = nameAt(code, offset);
    if (word === undefined) return undefined;
    const asked = this.#show(`${code}\n;type $ = ${word};`);
    return this.#told(asked.fileName, this.#scratch.text.length - 2, definition);
  }

  #told(fileName: string, position: number, definition: boolean): TypeInfo | undefined {
    const info = this.#service.getQuickInfoAtPosition(fileName, position);
    const signature = ts.displayPartsToString(info?.displayParts);
    if (info === undefined || signature === "any" || signature.endsWith("= /*unresolved*/ any")) return undefined;
    const text = definition ? this.#definition(fileName, position) : undefined;
    return {
      signature: this.#cleaned(signature),
      documentation: ts.displayPartsToString(info.documentation) || this.#commentBeside(fileName, position),
      tags: (info.tags ?? []).map((tag) => ({ name: tag.name, text: ts.displayPartsToString(tag.text) })),
      ...(text === undefined ? {} : { definition: text }),
    };
  }

  /** The checker passes over a JSDoc comment on the line on which the brace before it stands: `class A { /** B *\/ c }`. */
  #commentBeside(fileName: string, position: number): string {
    const definition = this.#service.getDefinitionAtPosition(fileName, position)?.[0];
    const text = definition && this.#service.getProgram()?.getSourceFile(definition.fileName)?.text;
    if (definition?.contextSpan === undefined || text === undefined) return "";
    const before = text.slice(Math.max(0, definition.contextSpan.start - 2000), definition.contextSpan.start);
    const [, comment = ""] = /[{;,}][ \t]*\/\*\*((?:(?!\*\/)[^\n])*)\*\/[ \t]*$/.exec(before) ?? [];
    return comment.trim().replace(/\s+(?=@\w)/g, "\n\n");
  }

  /** Prepares the check of a cell against the cells before it; the check itself may be given up and run again. */
  check(source: string): () => Diagnostic[] {
    const code = blankMagics(source);
    const head = this.#cells.head(code, false);
    return () => {
      const fileName = this.#place(head, code);
      this.#checking = true;
      let found: ts.Diagnostic[];
      try {
        // What does not parse the session refuses by itself.
        const broken = this.#service.getSyntacticDiagnostics(fileName).length > 0;
        found = broken ? [] : this.#service.getSemanticDiagnostics(fileName);
      } finally {
        this.#checking = false;
      }
      // The session's parser sees some mistakes as syntax that are matters of meaning to TypeScript's (`const a`).
      if (found.length > 0 && parse("cell.ts", code, REFUSED).errors.length > 0) return [];
      return found
        .filter(
          (d) =>
            !NOT_ABOUT_CELLS.has(d.code) &&
            (d.start ?? 0) >= head.length &&
            d.category !== ts.DiagnosticCategory.Suggestion,
        )
        .map((d) => this.#diagnostic(d, source, head.length));
    };
  }

  #diagnostic(found: ts.Diagnostic, source: string, shift: number): Diagnostic {
    const start = Math.min((found.start ?? shift) - shift, source.length);
    const end = Math.min(start + Math.max(1, found.length ?? 1), source.length);
    const lineStart = source.lastIndexOf("\n", start - 1) + 1;
    const lineEnd = source.indexOf("\n", start);
    const line = source.slice(lineStart, lineEnd === -1 ? undefined : lineEnd).replace(/\r$/, "");
    const carets = "^".repeat(Math.max(1, Math.min(end, lineStart + line.length) - start));
    return {
      category:
        found.category === ts.DiagnosticCategory.Error
          ? "error"
          : found.category === ts.DiagnosticCategory.Warning
            ? "warning"
            : "suggestion",
      code: found.code,
      message: this.#cleaned(ts.flattenDiagnosticMessageText(found.messageText, "\n")),
      start,
      end,
      line: source.slice(0, start).split("\n").length,
      column: start - lineStart + 1,
      frame: `${line}\n${line.slice(0, start - lineStart).replace(/[^\t]/g, " ")}${carets}`,
    };
  }

  #definition(fileName: string, position: number): { text: string; where: string } | undefined {
    const found = this.#service.getDefinitionAtPosition(fileName, position)?.[0];
    if (found === undefined) return undefined;
    const file = this.#service.getProgram()?.getSourceFile(found.fileName);
    if (file === undefined) return undefined;
    const span = found.contextSpan ?? found.textSpan;
    // An earlier cell's `let` is declared anew before this one: its own declaration is behind the type.
    if (found.fileName === fileName && span.start + span.length <= this.#scratchHead.length) {
      const name = file.text.slice(found.textSpan.start, found.textSpan.start + found.textSpan.length);
      const end = file.text.indexOf(`).${name};`, span.start);
      if (end !== -1 && end + 2 !== position) return this.#definition(fileName, end + 2);
    }
    const cell = this.#cells.modules.find((module) => module.fileName === found.fileName);
    const base = cell === undefined ? (found.fileName === fileName ? this.#scratchHead : "") : cell.head;
    const line = file.text.slice(base.length, span.start).split("\n").length;
    const where =
      cell !== undefined
        ? `cell ${cell.cell}, line ${line}`
        : found.fileName === fileName
          ? `this cell, line ${line}`
          : `${found.fileName}:${line}`;
    return { text: file.text.slice(span.start, span.start + span.length), where };
  }

  #scratchHead = "";

  /** Puts a cell into the scratch module, with earlier names before it. */
  #show(code: string): { fileName: string; shift: number } {
    const head = this.#cells.head(code, true);
    return { fileName: this.#place(head, code), shift: head.length };
  }

  #place(head: string, code: string): string {
    const text = head + code;
    this.#scratchHead = head;
    if (text !== this.#scratch.text || this.#scratch.version === 0)
      this.#scratch = { text, version: this.#scratch.version + 1 };
    this.#readConfig();
    return this.#scratchName;
  }

  get #scratchName(): string {
    return `${this.#directory}/__cell__.ts`;
  }

  #virtual(): ReadonlyMap<string, string> {
    this.#modules ??= new Map([
      [this.#globals, KERNEL_GLOBALS],
      ...this.#cells.modules.map((module): [string, string] => [module.fileName, module.text]),
    ]);
    return this.#modules;
  }

  /** Types of earlier cells read like the user's own words, not like imports from files that do not exist. */
  #cleaned(text: string): string {
    return text
      .replace(/import\("[^"]*__cell_\d*_*"\)\./g, "")
      .replace(/^\(alias\) ([\s\S]*?)\nimport [^\n]*$/, "$1")
      .replace(/^namespace \S+\n(?=\S)/, "")
      .replace(/^module "[^"]*__cell_\d+__"$/m, "earlier cell");
  }

  #createService(): ts.LanguageService {
    const host: ts.LanguageServiceHost = {
      getCompilationSettings: () => this.#options,
      getProjectVersion: () => `${this.#structure}.${this.#scratch.version}.${this.#localStamp()}`,
      getScriptFileNames: () => [...this.#ambientFiles, ...this.#virtual().keys(), this.#scratchName],
      getScriptVersion: (fileName) => {
        if (fileName === this.#scratchName) return String(this.#scratch.version);
        if (this.#virtual().has(fileName) || fileName.includes("/node_modules/")) return "1";
        return String(statSync(fileName, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      },
      getScriptSnapshot: (fileName) => {
        const text = this.#read(fileName);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => this.#directory,
      getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
      fileExists: (fileName) =>
        fileName === this.#scratchName || this.#virtual().has(fileName) || ts.sys.fileExists(fileName),
      readFile: (fileName) => this.#read(fileName),
      readDirectory: (...query) => ts.sys.readDirectory(...query),
      directoryExists: (path) => ts.sys.directoryExists(path),
      getDirectories: (path) => ts.sys.getDirectories(path),
      realpath: (path) => ts.sys.realpath?.(path) ?? path,
      useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
      resolveModuleNameLiterals: (literals, containing, redirected, options, file) =>
        literals.map((literal) => this.#resolve(literal, containing, redirected, options, file)),
      getCancellationToken: () => ({ isCancellationRequested: () => this.#checking && this.#busy() }),
    };
    return ts.createLanguageService(host, this.#registry);
  }

  #read(fileName: string): string | undefined {
    if (fileName === this.#scratchName) return this.#scratch.text;
    return this.#virtual().get(fileName) ?? ts.sys.readFile(fileName);
  }

  /** As TypeScript resolves; what a cell imports is, failing that, looked for beside the kernel. Only successes are remembered. */
  #resolve(
    literal: ts.StringLiteralLike,
    containing: string,
    redirected: ts.ResolvedProjectReference | undefined,
    options: ts.CompilerOptions,
    file: ts.SourceFile,
  ): ts.ResolvedModuleWithFailedLookupLocations {
    const name = literal.text;
    const mode = ts.getModeForUsageLocation(file, literal, options);
    const key = `${mode ?? ""} ${dirname(containing)} ${name}`;
    const known = this.#resolved.get(key);
    if (known !== undefined) return known;
    const host: ts.ModuleResolutionHost = {
      fileExists: (path) => this.#virtual().has(path) || ts.sys.fileExists(path),
      readFile: (path) => this.#read(path),
      directoryExists: (path) => ts.sys.directoryExists(path),
      getDirectories: (path) => ts.sys.getDirectories(path),
      realpath: (path) => ts.sys.realpath?.(path) ?? path,
    };
    let found = ts.resolveModuleName(name, containing, options, host, undefined, redirected, mode);
    const isCell =
      dirname(containing) === this.#directory && /^__cell/.test(containing.slice(this.#directory.length + 1));
    if (found.resolvedModule === undefined && isCell && !name.startsWith("."))
      found = ts.resolveModuleName(name, `${KERNEL_ROOT}/__cell__.ts`, options, host, undefined, redirected, mode);
    if (found.resolvedModule !== undefined) this.#resolved.set(key, found);
    return found;
  }

  /** Changes when a file outside node_modules that the program contains changes. */
  #localStamp(): number {
    let stamp = 0;
    for (const fileName of this.#localFiles) stamp += statSync(fileName, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return stamp;
  }

  #noteLocalFiles(): void {
    this.#localFiles = (this.#service.getProgram()?.getSourceFiles() ?? [])
      .map((file) => file.fileName)
      .filter(
        (fileName) =>
          !fileName.includes("/node_modules/") && fileName !== this.#scratchName && !this.#virtual().has(fileName),
      );
  }

  /** Reads tsconfig.json beside the notebook, if it has changed; what cannot hold for cells is overruled. */
  #readConfig(): void {
    const path = `${this.#directory}/tsconfig.json`;
    const stamp = String(statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? "none");
    if (stamp === this.#configStamp) return;
    this.#configStamp = stamp;
    this.#structure++;
    const typeRoots = [...ancestors(this.#directory), KERNEL_ROOT, ...ancestors(dirname(KERNEL_ROOT))].map((folder) =>
      join(folder, "node_modules/@types"),
    );
    let options: ts.CompilerOptions = { strict: true, noImplicitAny: false };
    this.#ambientFiles = [];
    if (stamp !== "none") {
      const parsed = ts.parseJsonConfigFileContent(
        ts.readConfigFile(path, ts.sys.readFile).config ?? {},
        { ...ts.sys, readDirectory: declarationsNear },
        this.#directory,
      );
      options = parsed.options;
      this.#ambientFiles = parsed.fileNames.filter((fileName) => fileName.endsWith(".d.ts"));
    }
    this.#options = {
      ...options,
      target: Math.max(options.target ?? ts.ScriptTarget.ESNext, ts.ScriptTarget.ES2022),
      lib: options.lib ?? ["lib.esnext.d.ts"],
      types: [...new Set(["node", ...(options.types ?? [])])],
      typeRoots: [...(options.typeRoots ?? []), ...typeRoots],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      moduleDetection: ts.ModuleDetectionKind.Force,
      customConditions: [...new Set(["node", ...(options.customConditions ?? [])])],
      allowImportingTsExtensions: true,
      allowJs: true,
      checkJs: false,
      esModuleInterop: true,
      resolveJsonModule: true,
      skipLibCheck: true,
      noEmit: true,
      composite: false,
      incremental: false,
      declaration: false,
      isolatedModules: false,
      isolatedDeclarations: false,
      verbatimModuleSyntax: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      allowUnreachableCode: true,
      allowUnusedLabels: true,
      ignoreDeprecations: "6.0",
    };
    delete this.#options.configFilePath;
    this.#resolved.clear();
  }
}

/** The name at `offset`. */
function nameAt(code: string, offset: number): string | undefined {
  const before = /[\p{ID_Continue}$]*$/u.exec(code.slice(0, offset))?.[0] ?? "";
  const word = before + (/^[\p{ID_Continue}$]*/u.exec(code.slice(offset))?.[0] ?? "");
  const token = ts.createScanner(ts.ScriptTarget.Latest, true, ts.LanguageVariant.Standard, word).scan();
  return token === ts.SyntaxKind.Identifier && !/\.\s*$/.test(code.slice(0, offset - before.length)) ? word : undefined;
}

/** Where to look for something to tell, best first: here, the name that ends here, the function whose arguments these are. */
function inspectionPoints(code: string, offset: number): number[] {
  const points = [offset, offset - 1].filter((at) => at >= 0 && /[\p{ID_Continue}$"'`]/u.test(code[at] ?? ""));
  const file = ts.createSourceFile("cell.ts", code, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS);
  let callee: number | undefined;
  const visit = (node: ts.Node): void => {
    if (node.pos > offset || node.end < offset) return;
    if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && node.expression.end < offset)
      callee = node.expression.end - 1;
    ts.forEachChild(node, visit);
  };
  visit(file);
  return callee === undefined ? points : [...points, callee];
}
