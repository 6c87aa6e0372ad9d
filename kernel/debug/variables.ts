import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Cdp, ObjectPreview, PropertyDescriptor, RemoteObject } from "./cdp.js";

/** What a variablesReference stands for. */
type Handle =
  | { readonly kind: "object"; readonly object: RemoteObject; readonly expression: string | undefined }
  | {
      readonly kind: "range";
      readonly object: RemoteObject;
      readonly expression: string | undefined;
      readonly from: number;
      readonly to: number;
    }
  | {
      readonly kind: "scopes";
      readonly objects: readonly string[];
      readonly globals: boolean;
      readonly extra: readonly { name: string; value: RemoteObject }[];
    };

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
  readonly #cdp: Cdp;
  readonly #handles = new Map<number, Handle>();
  #next = 1;

  constructor(cdp: Cdp) {
    this.#cdp = cdp;
  }

  /** References end when the session goes on. */
  clear(): void {
    this.#handles.clear();
    void this.#cdp("Runtime.releaseObjectGroup", { objectGroup: "debug" }).catch(() => undefined);
  }

  /** A reference to several scopes seen as one, inner ones first. */
  scope(
    objects: readonly string[],
    globals: boolean,
    extra: readonly { name: string; value: RemoteObject }[] = [],
  ): number {
    return this.#handle({ kind: "scopes", objects, globals, extra });
  }

  /** The user's global variables. */
  async globals(): Promise<DebugProtocol.Variable[]> {
    const { result } = await this.#cdp<{ result: RemoteObject }>("Runtime.evaluate", {
      expression: "globalThis",
      objectGroup: "debug",
      silent: true,
    });
    if (result.objectId === undefined) return [];
    const own = await this.#properties(result.objectId);
    return own
      .filter(({ name, symbol }) => symbol === undefined && !NOT_THE_USERS.has(name))
      .map((property) => this.#variable(property, undefined, true));
  }

  /** @throws if the reference has ended. */
  async children(reference: number, start = 0, count?: number): Promise<DebugProtocol.Variable[]> {
    const handle = this.#handles.get(reference);
    if (handle === undefined)
      throw new Error(`variablesReference ${reference} is not known (any more): it ends when the session goes on`);
    if (handle.kind === "scopes") {
      const found = new Map<string, DebugProtocol.Variable>();
      for (const { name, value } of handle.extra) found.set(name, this.value(name, value, undefined));
      for (const object of handle.objects)
        for (const property of await this.#properties(object))
          if (!found.has(property.name) && !/^__cell__$|\u200c/.test(property.name))
            found.set(property.name, this.#variable(property, undefined, true));
      if (handle.globals)
        for (const variable of await this.globals()) if (!found.has(variable.name)) found.set(variable.name, variable);
      return slice([...found.values()], start, count);
    }
    const { object, expression } = handle;
    const [from, to] = handle.kind === "range" ? [handle.from, handle.to] : [0, lengthOf(object)];
    if (to - from > PIECE && count !== undefined)
      return this.#elements(object, expression, start, Math.min(to, start + count));
    if (to - from > PIECE) return this.#pieces(object, expression, from, to);
    if (handle.kind === "range") return this.#elements(object, expression, from, to);
    if (object.objectId === undefined) return [];
    const list = (await this.#properties(object.objectId, true)).map((property) =>
      this.#variable(property, expression, false),
    );
    return slice(list, start, count);
  }

  /** A value under a name. */
  value(name: string, object: RemoteObject, expression: string | undefined): DebugProtocol.Variable {
    const length = lengthOf(object);
    return {
      name,
      value: describe(object),
      type: typeName(object),
      variablesReference:
        object.objectId === undefined || object.type === "symbol"
          ? 0
          : this.#handle({ kind: "object", object, expression }),
      ...(expression === undefined ? {} : { evaluateName: expression }),
      ...(length > PIECE ? { indexedVariables: length } : {}),
    };
  }

  #variable(property: PropertyDescriptor, parent: string | undefined, top: boolean): DebugProtocol.Variable {
    const name = property.name;
    const expression = top
      ? name
      : parent === undefined
        ? undefined
        : property.symbol
          ? undefined
          : `${parent}${member(name)}`;
    if (property.value !== undefined) return this.value(name, property.value, expression);
    return {
      name,
      value: property.get && property.get.type !== "undefined" ? "(...)" : "undefined",
      type: "accessor",
      variablesReference: 0,
      presentationHint: { kind: "property", attributes: ["hasSideEffects"] },
    };
  }

  async #properties(objectId: string, internals = false): Promise<PropertyDescriptor[]> {
    const answer = await this.#cdp<{
      result: PropertyDescriptor[];
      internalProperties?: { name: string; value?: RemoteObject }[];
    }>("Runtime.getProperties", {
      objectId,
      ownProperties: true,
      generatePreview: true,
    });
    const own = answer.result.filter(({ name }) => name !== "__proto__").slice(0, MANY);
    if (!internals) return own;
    const inner = (answer.internalProperties ?? []).filter(
      ({ name }) => !/^\[\[(Scopes|FunctionLocation|Prototype)\]\]$/.test(name),
    );
    return [...own, ...inner];
  }

  #pieces(object: RemoteObject, expression: string | undefined, from: number, to: number): DebugProtocol.Variable[] {
    const pieces: DebugProtocol.Variable[] = [];
    const size = pieceSize(to - from);
    for (let at = from; at < to; at += size) {
      const end = Math.min(to, at + size);
      const variablesReference = this.#handle({ kind: "range", object, expression, from: at, to: end });
      pieces.push({ name: `[${at}…${end - 1}]`, value: "", variablesReference });
    }
    return pieces;
  }

  /** Part of a long array, by reading descriptors: a getter among them is not run. */
  async #elements(
    object: RemoteObject,
    expression: string | undefined,
    from: number,
    to: number,
  ): Promise<DebugProtocol.Variable[]> {
    const { result } = await this.#cdp<{ result: RemoteObject }>("Runtime.callFunctionOn", {
      objectId: object.objectId,
      functionDeclaration:
        "function(from, to) { const part = {}; for (let i = from; i < to; i++) { const d = Object.getOwnPropertyDescriptor(this, i); if (d) Object.defineProperty(part, i, { ...d, configurable: true }); } return part; }",
      arguments: [{ value: from }, { value: to }],
      objectGroup: "debug",
      silent: true,
    });
    if (result.objectId === undefined) return [];
    return (await this.#properties(result.objectId)).map((property) => this.#variable(property, expression, false));
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
    return (object.description ?? "function").replaceAll("\u200c", "").replace(/\s+/g, " ").slice(0, 120);
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

function member(name: string): string {
  if (/^\d+$/.test(name)) return `[${name}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

function slice<T>(list: readonly T[], start: number, count: number | undefined): T[] {
  return list.slice(start, count === undefined || count === 0 ? undefined : start + count);
}
