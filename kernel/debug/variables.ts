import type { DebugProtocol } from "@vscode/debugprotocol";
import { importedName, readImport, withoutMarks } from "../session/cell/rewrite.js";
import {
  type CallFrame,
  type Inspector,
  OBJECT_GROUP,
  type ObjectPreview,
  type PropertyDescriptor,
  type RemoteObject,
} from "./cdp.js";

/** What a variablesReference stands for. `call` is the frame in which expressions for its members mean what they say. */
type Handle = { readonly call: CallFrame | undefined } & (
  | {
      readonly kind: "object";
      readonly object: RemoteObject;
      readonly expression: string | undefined;
      /** Part of a long array. */
      readonly range?: readonly [from: number, to: number];
    }
  | ({ readonly kind: "scopes" } & Scopes)
);

/** Several of V8's scopes seen as one, inner ones first. */
export interface Scopes {
  readonly objects: readonly string[];
  /** Scopes further in: what they have by the same name is what an expression would mean. */
  readonly inner?: readonly string[];
  /** Whether the user's global variables belong to it. */
  readonly globals: boolean;
  readonly extra?: readonly { readonly name: string; readonly value: RemoteObject }[];
}

type ObjectHandle = Extract<Handle, { readonly kind: "object" }>;

/** Which members are wanted. */
export interface Wanted {
  readonly filter?: "indexed" | "named" | undefined;
  readonly start?: number | undefined;
  readonly count?: number | undefined;
}

/** Where a variable can be assigned. */
export interface Assignable {
  readonly expression: string;
  readonly call: CallFrame | undefined;
}

/** Names every Node has, and those the kernel adds: not the user's variables. */
const NOT_THE_USERS = new Set([
  ...Object.getOwnPropertyNames(globalThis),
  ..."display prompt input Jupyter require module exports __filename __dirname __cell__ WebSocket CloseEvent CustomEvent Navigator navigator localStorage sessionStorage EventSource Storage".split(
    " ",
  ),
]);
/** An array longer than this is shown in pieces of this size. */
const PIECE = 100;
/** Names beyond this many are left out of one answer. */
const MANY = 2000;

/** The variables of a paused or idle session as DAP has them. No getter is ever run: an accessor is shown as `(...)`. */
export class Variables {
  readonly #inspector: Inspector;
  readonly #handles = new Map<number, Handle>();
  #next = 1;

  constructor(inspector: Inspector) {
    this.#inspector = inspector;
  }

  /** References end when the session goes on. */
  clear(): void {
    this.#handles.clear();
    this.#inspector.release();
  }

  /** A reference to scopes of a frame. */
  scope(scopes: Scopes, call: CallFrame | undefined): number {
    return this.#handle({ kind: "scopes", call, ...scopes });
  }

  /** The user's global variables. */
  async globals(): Promise<DebugProtocol.Variable[]> {
    const { result } = await this.#inspector.call("Runtime.evaluate", {
      expression: "globalThis",
      disableBreaks: true,
      objectGroup: OBJECT_GROUP,
      silent: true,
    });
    if (result.objectId === undefined) return [];
    const own = await this.#properties(result.objectId);
    const imported = new Set(own.flatMap(({ name }) => importedName(name) ?? []));
    const shown = own.filter(
      ({ name, symbol }) => symbol === undefined && !NOT_THE_USERS.has(name) && importedName(name) === undefined,
    );
    return Promise.all(
      shown.map(async (property) =>
        this.#variable(
          property.get && imported.has(withoutMarks(property.name)) ? await this.#exported(property) : property,
          property.name,
          undefined,
        ),
      ),
    );
  }

  /** An import is an accessor of the kernel's: its value is no secret. */
  async #exported(property: PropertyDescriptor): Promise<PropertyDescriptor> {
    const { result, exceptionDetails } = await this.#inspector.call("Runtime.evaluate", {
      expression: readImport(withoutMarks(property.name)),
      disableBreaks: true,
      generatePreview: true,
      objectGroup: OBJECT_GROUP,
      silent: true,
    });
    return exceptionDetails ? property : { ...property, value: result };
  }

  /** @throws if the reference has ended. */
  async children(reference: number, { filter, start = 0, count = 0 }: Wanted = {}): Promise<DebugProtocol.Variable[]> {
    const handle = this.#known(reference);
    const page = <T>(list: readonly T[]): T[] => list.slice(start, count === 0 ? undefined : start + count);
    if (handle.kind === "scopes") return filter === "indexed" ? [] : page(await this.#members(handle));
    const { object, expression, call } = handle;
    const [from, to] = handle.range ?? [0, lengthOf(object)];
    if (to - from > PIECE && filter !== "named")
      return count === 0
        ? this.#pieces(handle, from, to)
        : this.#elements(handle, from + start, Math.min(to, from + start + count));
    if (handle.range !== undefined) return filter === "named" ? [] : this.#elements(handle, from, to);
    if (object.objectId === undefined) return [];
    if (to > PIECE) return [{ name: "length", value: String(to), type: "number", variablesReference: 0 }];
    const list = (await this.#properties(object.objectId, true)).filter(
      ({ name }) => filter === undefined || /^\d+$/.test(name) === (filter === "indexed"),
    );
    return page(list).map((property) => this.#variable(property, memberOf(expression, property), call));
  }

  /** @throws where it has no name in the code, as a variable that another one hides, or a part of a Map. */
  async assignable(reference: number, name: string): Promise<Assignable> {
    const { call } = this.#known(reference);
    const variable = (await this.children(reference)).find((each) => each.name === name);
    if (variable?.evaluateName === undefined)
      throw new Error(`${name} cannot be assigned: it has no expression that names it`);
    return { expression: variable.evaluateName, call };
  }

  /** A value under a name. */
  value(
    name: string,
    object: RemoteObject,
    expression: string | undefined,
    call: CallFrame | undefined,
  ): DebugProtocol.Variable {
    const length = lengthOf(object);
    return {
      name,
      value: describe(object),
      type: typeName(object),
      variablesReference:
        object.objectId === undefined || object.type === "symbol"
          ? 0
          : this.#handle({ kind: "object", object, expression, call }),
      ...(expression === undefined ? {} : { evaluateName: expression }),
      ...(length > PIECE ? { indexedVariables: length } : {}),
    };
  }

  async #members({ objects, inner = [], globals, extra = [], call }: Scopes & Pick<Handle, "call">) {
    const found = new Map<string, DebugProtocol.Variable>();
    for (const { name, value } of extra) found.set(name, this.value(name, value, undefined, call));
    const hidden = new Set<string>();
    for (const object of inner) for (const { name } of await this.#properties(object)) hidden.add(name);
    for (const object of objects)
      for (const property of await this.#properties(object)) {
        const { name } = property;
        if (found.has(name) || /^__cell__$|\u200c/.test(name)) continue;
        found.set(name, this.#variable(property, hidden.has(name) ? undefined : name, call));
      }
    if (globals)
      for (const variable of await this.globals()) if (!found.has(variable.name)) found.set(variable.name, variable);
    return [...found.values()];
  }

  #known(reference: number): Handle {
    const handle = this.#handles.get(reference);
    if (handle === undefined)
      throw new Error(`variablesReference ${reference} is not known (any more): it ends when the session goes on`);
    return handle;
  }

  #variable(
    { name, value, get }: PropertyDescriptor,
    expression: string | undefined,
    call: CallFrame | undefined,
  ): DebugProtocol.Variable {
    if (value !== undefined) return this.value(name, value, expression, call);
    return {
      name,
      value: get && get.type !== "undefined" ? "(...)" : "undefined",
      type: "accessor",
      variablesReference: 0,
      presentationHint: { kind: "property", attributes: ["hasSideEffects"] },
    };
  }

  async #properties(objectId: string, internals = false): Promise<PropertyDescriptor[]> {
    const { result, internalProperties = [] } = await this.#inspector.call("Runtime.getProperties", {
      objectId,
      ownProperties: true,
      generatePreview: true,
    });
    const own = result.filter(({ name }) => name !== "__proto__").slice(0, MANY);
    if (!internals) return own;
    return [
      ...own,
      ...internalProperties.filter(({ name }) => !/^\[\[(Scopes|FunctionLocation|Prototype)\]\]$/.test(name)),
    ];
  }

  #pieces({ object, expression, call }: ObjectHandle, from: number, to: number): DebugProtocol.Variable[] {
    const pieces: DebugProtocol.Variable[] = [];
    const size = pieceSize(to - from);
    for (let at = from; at < to; at += size) {
      const end = Math.min(to, at + size);
      const variablesReference = this.#handle({ kind: "object", object, expression, call, range: [at, end] });
      pieces.push({ name: `[${at}…${end - 1}]`, value: "", variablesReference });
    }
    return pieces;
  }

  /** Part of a long array, by reading descriptors: a getter among them is not run. */
  async #elements(
    { object, expression, call }: ObjectHandle,
    from: number,
    to: number,
  ): Promise<DebugProtocol.Variable[]> {
    if (object.objectId === undefined) return [];
    const { result } = await this.#inspector.call("Runtime.callFunctionOn", {
      objectId: object.objectId,
      functionDeclaration:
        "function(from, to) { const part = {}; for (let i = from; i < to; i++) { const d = Object.getOwnPropertyDescriptor(this, i); if (d) Object.defineProperty(part, i, { ...d, configurable: true }); } return part; }",
      arguments: [{ value: from }, { value: to }],
      objectGroup: OBJECT_GROUP,
      silent: true,
    });
    if (result.objectId === undefined) return [];
    return (await this.#properties(result.objectId)).map((property) =>
      this.#variable(property, memberOf(expression, property), call),
    );
  }

  #handle(handle: Handle): number {
    const reference = this.#next++;
    this.#handles.set(reference, handle);
    return reference;
  }
}

/** The value as one line of text, in the way Node's console writes it. */
export function describe(object: RemoteObject): string {
  if (object.type === "string") return quoted(String(object.value ?? object.description ?? ""));
  if (object.type === "undefined") return "undefined";
  if (object.subtype === "null") return "null";
  if (object.unserializableValue !== undefined) return object.unserializableValue;
  if (object.objectId === undefined) return String(object.value ?? object.description ?? "");
  if (object.type === "function")
    return withoutMarks(object.description ?? "function")
      .replace(/\s+/g, " ")
      .slice(0, 120);
  if (object.subtype === "error") return (object.description ?? "Error").split("\n    at ")[0] ?? "Error";
  const preview = object.preview;
  const name = object.description ?? object.className ?? "Object";
  if (
    preview === undefined ||
    ["date", "regexp", "promise", "proxy", "weakmap", "weakset", "generator"].includes(object.subtype ?? "")
  )
    return name;
  const inner = previewText(preview, object.subtype === "array" || object.subtype === "typedarray");
  if (object.subtype === "array") return `${name} [${inner}]`;
  if (object.subtype === "typedarray") return `${name} [${inner}]`;
  return `${name === "Object" ? "" : `${name} `}{${inner}}`;
}

function previewText(preview: ObjectPreview, list: boolean): string {
  const parts =
    preview.entries?.map(({ key, value }) =>
      key === undefined ? (value.description ?? "…") : `${key.description ?? "…"} => ${value.description ?? "…"}`,
    ) ??
    preview.properties.map(({ name, type, value, subtype }) => {
      const text =
        type === "string"
          ? quoted(value ?? "")
          : type === "function"
            ? "ƒ"
            : type === "accessor"
              ? "(...)"
              : subtype === "null"
                ? "null"
                : (value ?? type);
      return list && /^\d+$/.test(name) ? text : `${name}: ${text}`;
    });
  return parts.join(", ") + (preview.overflow ? ", …" : "");
}

/** As Node's console quotes: single quotes unless the text holds some. */
function quoted(text: string): string {
  const json = JSON.stringify(text);
  return text.includes("'") ? json : `'${json.slice(1, -1).replaceAll('\\"', '"')}'`;
}

function typeName(object: RemoteObject): string {
  if (object.type === "object")
    return object.subtype === "null" ? "null" : (object.className ?? object.subtype ?? "object");
  return object.type;
}

function lengthOf(object: RemoteObject): number {
  if (object.subtype !== "array" && object.subtype !== "typedarray") return 0;
  return Number(/\((\d+)\)$/.exec(object.description ?? "")?.[1] ?? 0);
}

/** At most a hundred pieces, each of a hundred, ten thousand, ... elements. */
function pieceSize(length: number): number {
  let size = PIECE;
  while (length / size > PIECE) size *= PIECE;
  return size;
}

/** The expression for a member, given the one for what it belongs to. */
function memberOf(parent: string | undefined, { name, symbol }: PropertyDescriptor): string | undefined {
  if (parent === undefined || symbol !== undefined || name.startsWith("[[")) return undefined;
  if (/^\d+$/.test(name)) return `${parent}[${name}]`;
  const plain = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name);
  return plain ? `${parent}.${name}` : `${parent}[${JSON.stringify(name)}]`;
}
