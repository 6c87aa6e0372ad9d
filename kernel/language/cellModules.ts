import ts from "typescript";
import { blankMagics } from "./magicLines.js";

/** A cell as a module of the notebook's program: `text` = `head` + the cell's own text + `tail`. */
export interface CellModule {
  readonly fileName: string;
  readonly cell: number;
  readonly head: string;
  readonly source: string;
  readonly text: string;
}

interface Declared {
  /** A `let` or `var` may be assigned by later cells, which an import would forbid. */
  readonly assignable: boolean;
  /** The JSDoc comment of an assignable one: it is declared anew where it is seen. */
  readonly comment: string;
  /** An interface or a type alias: it hides no value of its name. */
  readonly typeOnly: boolean;
}

interface Binding {
  readonly module: CellModule;
  readonly declared: Declared;
}

/**
 * The cells run so far as modules that import from each other: a cell sees, of every name, the newest cell that declares it,
 * except those that it declares itself. So any redeclaration shadows and types flow from cell to cell. A cell that declares
 * nothing leaves no module; one whose every name is shadowed and unused is dropped.
 */
export class CellModules {
  readonly #directory: string;
  readonly #bindings = new Map<string, Binding>();
  readonly #ambient = new Set<CellModule>();
  readonly #uses = new Map<CellModule, ReadonlySet<CellModule>>();
  #count = 0;
  #live: readonly CellModule[] = [];
  #headOfAll: string | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The modules later cells depend on, oldest first. */
  get modules(): readonly CellModule[] {
    return this.#live;
  }

  /** Names a new cell sees from earlier ones. */
  get names(): ReadonlyMap<string, { readonly module: CellModule }> {
    return this.#bindings;
  }

  /** Forgets all cells; file names are never used again, for the checker may remember what they held. */
  clear(): void {
    this.#bindings.clear();
    this.#ambient.clear();
    this.#uses.clear();
    this.#live = [];
    this.#headOfAll = undefined;
  }

  /** Adds a cell that has been run. */
  add(original: string, cell: number): void {
    const source = blankMagics(original);
    const file = ts.createSourceFile("cell.ts", source, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS);
    const declared = declaredNames(file);
    if (declared.names.size === 0 && !declared.ambient) return;
    const { head, uses } = this.#head(source, declared.names);
    const exported = [...declared.names.keys()].filter((name) => !declared.exported.has(name));
    const tail = `\n;export { ${exported.join(", ")} };\n`;
    const fileName = `${this.#directory}/__cell_${++this.#count}__.ts`;
    const module: CellModule = { fileName, cell, head, source, text: head + source + tail };
    this.#uses.set(module, uses);
    if (declared.ambient) this.#ambient.add(module);
    for (const [name, each] of declared.names) this.#bindings.set(name, { module, declared: each });
    this.#sweep();
  }

  /** The lines that bring earlier names to `source`: those it may use, or with `all` every one it does not declare itself. */
  head(source: string, all: boolean): string {
    const file = ts.createSourceFile("cell.ts", source, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS);
    const own = declaredNames(file).names;
    if (!all) return this.#head(source, own).head;
    if (![...own.keys()].some((name) => this.#bindings.has(name))) {
      this.#headOfAll ??= this.#lines(this.#bindings.keys()).head;
      return this.#headOfAll;
    }
    return this.#lines([...this.#bindings.keys()].filter((name) => !own.has(name))).head;
  }

  #head(source: string, own: ReadonlyMap<string, Declared>): { head: string; uses: Set<CellModule> } {
    const words = new Set(source.match(/[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/gu) ?? []);
    return this.#lines([...words].filter((word) => this.#bindings.has(word) && !own.has(word)));
  }

  #lines(names: Iterable<string>): { head: string; uses: Set<CellModule> } {
    const imports = new Map<CellModule, string[]>();
    let variables = "";
    for (const name of names) {
      const binding = this.#bindings.get(name);
      if (binding === undefined) continue;
      const list = imports.get(binding.module) ?? [];
      imports.set(binding.module, list);
      const { assignable, comment, typeOnly } = binding.declared;
      // Beside the import of `interface Array<T> {}`, which hides it, the value that Array is.
      if (typeOnly && Object.hasOwn(globalThis, name))
        variables += `declare const ${name}: typeof globalThis.${name};\n`;
      if (assignable)
        variables += `${comment}declare let ${name}: typeof import(${specifier(binding.module)}).${name};\n`;
      else list.push(name);
    }
    const lines = [...imports]
      .filter(([, list]) => list.length > 0)
      .map(([module, list]) => `import { ${list.join(", ")} } from ${specifier(module)};\n`);
    return { head: lines.join("") + variables, uses: new Set(imports.keys()) };
  }

  #sweep(): void {
    const live = new Set<CellModule>(this.#ambient);
    const reach = (module: CellModule): void => {
      if (live.has(module)) return;
      live.add(module);
      for (const used of this.#uses.get(module) ?? []) reach(used);
    };
    for (const module of this.#ambient) for (const used of this.#uses.get(module) ?? []) reach(used);
    for (const { module } of this.#bindings.values()) reach(module);
    for (const module of this.#uses.keys()) if (!live.has(module)) this.#uses.delete(module);
    this.#live = [...this.#uses.keys()];
    this.#headOfAll = undefined;
  }
}

function specifier(module: CellModule): string {
  return JSON.stringify(`./${module.fileName.slice(module.fileName.lastIndexOf("/") + 1, -3)}`);
}

/** What a cell declares at its top level; of each name, how. */
function declaredNames(file: ts.SourceFile): { names: Map<string, Declared>; exported: Set<string>; ambient: boolean } {
  const names = new Map<string, Declared>();
  const exported = new Set<string>();
  let ambient = false;
  let comment = "";
  const isExported = (node: ts.Node): boolean =>
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.ExportKeyword) &&
    !(ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.DefaultKeyword);
  const declare = (
    name: ts.BindingName | ts.Identifier | undefined,
    assignable: boolean,
    exports: boolean,
    typeOnly = false,
  ): void => {
    if (name === undefined) return;
    if (!ts.isIdentifier(name)) {
      for (const element of name.elements) if (ts.isBindingElement(element)) declare(element.name, assignable, exports);
      return;
    }
    if (name.text === "") return;
    const alone = typeOnly && names.get(name.text)?.typeOnly !== false;
    names.set(name.text, { assignable, comment: assignable ? comment : "", typeOnly: alone });
    if (exports) exported.add(name.text);
  };
  const variables = (list: ts.VariableDeclarationList, exports: boolean): void => {
    const constant =
      (list.flags & ts.NodeFlags.BlockScoped) !== 0 && (list.flags & ts.NodeFlags.BlockScoped) !== ts.NodeFlags.Let;
    for (const variable of list.declarations) declare(variable.name, !constant, exports);
  };
  for (const node of file.statements) {
    const exports = isExported(node);
    const leading = (ts.getLeadingCommentRanges(file.text, node.pos) ?? []).at(-1);
    const text = leading === undefined ? "" : file.text.slice(leading.pos, leading.end);
    comment = text.startsWith("/**") ? `${text}\n` : "";
    if (ts.isVariableStatement(node)) variables(node.declarationList, exports);
    else if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node))
      declare(node.name, false, exports, true);
    else if (ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node) || ts.isEnumDeclaration(node))
      declare(node.name, false, exports);
    else if (ts.isImportEqualsDeclaration(node)) declare(node.name, false, exports);
    else if (ts.isModuleDeclaration(node)) {
      if (ts.isIdentifier(node.name) && !(node.flags & ts.NodeFlags.GlobalAugmentation))
        declare(node.name, false, exports);
      else ambient = true;
    } else if (ts.isImportDeclaration(node)) {
      declare(node.importClause?.name, false, false);
      const bindings = node.importClause?.namedBindings;
      if (bindings !== undefined && ts.isNamespaceImport(bindings)) declare(bindings.name, false, false);
      else if (bindings !== undefined) for (const element of bindings.elements) declare(element.name, false, false);
    } else if (ts.isExportDeclaration(node)) {
      if (node.exportClause !== undefined && ts.isNamedExports(node.exportClause))
        for (const element of node.exportClause.elements) exported.add(element.name.text);
    } else hoistedVars(node, variables);
  }
  return { names, exported, ambient };
}

/** `var` in blocks and loops belongs to the cell's top level too. */
function hoistedVars(node: ts.Node, variables: (list: ts.VariableDeclarationList, exports: boolean) => void): void {
  if (ts.isFunctionLike(node) || ts.isClassLike(node)) return;
  if (ts.isVariableDeclarationList(node) && (node.flags & ts.NodeFlags.BlockScoped) === 0) variables(node, false);
  ts.forEachChild(node, (child) => hoistedVars(child, variables));
}
