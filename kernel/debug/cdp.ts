import { z } from "zod";

/**
 * The part of the Chrome DevTools protocol that the debugger speaks: what it sends, and what it reads of the answers, checked
 * where they come in. Lines and columns count from 0.
 */
const location = z.object({ scriptId: z.string(), lineNumber: z.int(), columnNumber: z.int().optional() });

const previewed = z.object({ description: z.string().optional() });
const objectPreview = z.object({
  overflow: z.boolean(),
  properties: z.array(
    z.object({ name: z.string(), type: z.string(), value: z.string().optional(), subtype: z.string().optional() }),
  ),
  entries: z.array(z.object({ key: previewed.optional(), value: previewed })).optional(),
});

const remoteObject = z.object({
  type: z.string(),
  subtype: z.string().optional(),
  className: z.string().optional(),
  value: z.unknown().optional(),
  unserializableValue: z.string().optional(),
  description: z.string().optional(),
  objectId: z.string().optional(),
  preview: objectPreview.optional(),
});

const property = z.object({
  name: z.string(),
  value: remoteObject.optional(),
  get: remoteObject.optional(),
  symbol: remoteObject.optional(),
});

const callFrame = z.object({
  callFrameId: z.string(),
  functionName: z.string(),
  location,
  functionLocation: location.optional(),
  scopeChain: z.array(z.object({ type: z.string(), object: remoteObject })),
  this: remoteObject,
  returnValue: remoteObject.optional(),
});

/** The calls that led to the present one, where they have ended: the cell that set a timer, the caller that awaits. */
const asyncStackTrace = z.object({
  description: z.string().optional(),
  callFrames: z.array(
    z.object({ functionName: z.string(), scriptId: z.string(), lineNumber: z.int(), columnNumber: z.int() }),
  ),
  get parent() {
    return asyncStackTrace.optional();
  },
});

/** `data` is an exception's object, or tells of the script that is about to run. */
const paused = z.object({
  callFrames: z.array(callFrame),
  reason: z.string(),
  data: z.looseObject({ scriptId: z.string().optional(), uncaught: z.boolean().optional() }).optional(),
  hitBreakpoints: z.array(z.string()).optional(),
  asyncStackTrace: asyncStackTrace.optional(),
});

const scriptParsed = z.object({
  scriptId: z.string(),
  url: z.string(),
  sourceMapURL: z.string().optional(),
  startColumn: z.int().optional(),
});

const nothing = z.object({});
const evaluated = z.object({
  result: remoteObject,
  exceptionDetails: z.object({ text: z.string().optional(), exception: remoteObject.optional() }).optional(),
});
const placed = z.object({ breakpointId: z.string() });

const events = {
  "Debugger.paused": paused,
  "Debugger.resumed": nothing,
  "Debugger.scriptParsed": scriptParsed,
};

const results = {
  "Debugger.enable": nothing,
  "Debugger.disable": nothing,
  "Debugger.setAsyncCallStackDepth": nothing,
  "Debugger.setPauseOnExceptions": nothing,
  "Debugger.setSkipAllPauses": nothing,
  "Debugger.setBlackboxPatterns": nothing,
  "Debugger.setInstrumentationBreakpoint": placed,
  "Debugger.setBreakpoint": placed,
  "Debugger.setBreakpointByUrl": placed,
  "Debugger.removeBreakpoint": nothing,
  "Debugger.pause": nothing,
  "Debugger.resume": nothing,
  "Debugger.stepOver": nothing,
  "Debugger.stepInto": nothing,
  "Debugger.stepOut": nothing,
  "Debugger.getScriptSource": z.object({ scriptSource: z.string() }),
  "Debugger.evaluateOnCallFrame": evaluated,
  "Runtime.evaluate": evaluated,
  "Runtime.awaitPromise": evaluated,
  "Runtime.callFunctionOn": evaluated,
  "Runtime.getProperties": z.object({
    result: z.array(property),
    internalProperties: z.array(z.object({ name: z.string(), value: remoteObject.optional() })).optional(),
  }),
  "Runtime.releaseObjectGroup": nothing,
} satisfies { readonly [M in keyof Parameters]: z.ZodType };

interface EvaluateOptions {
  readonly expression: string;
  readonly objectGroup: string;
  readonly generatePreview?: boolean;
  readonly returnByValue?: boolean;
  readonly silent: true;
  readonly throwOnSideEffect?: boolean;
  /** In milliseconds. */
  readonly timeout?: number;
}

interface BreakpointOptions {
  readonly condition?: string;
}

type None = Readonly<Record<string, never>>;

/** What each method takes. */
interface Parameters {
  "Debugger.enable": None;
  "Debugger.disable": None;
  "Debugger.setAsyncCallStackDepth": { readonly maxDepth: number };
  "Debugger.setPauseOnExceptions": { readonly state: "none" | "uncaught" | "all" };
  "Debugger.setSkipAllPauses": { readonly skip: boolean };
  "Debugger.setBlackboxPatterns": { readonly patterns: readonly string[] };
  "Debugger.setInstrumentationBreakpoint": { readonly instrumentation: "beforeScriptWithSourceMapExecution" };
  "Debugger.setBreakpoint": BreakpointOptions & { readonly location: Location };
  "Debugger.setBreakpointByUrl": BreakpointOptions & {
    readonly urlRegex: string;
    readonly lineNumber: number;
    readonly columnNumber?: number;
  };
  "Debugger.removeBreakpoint": { readonly breakpointId: string };
  "Debugger.pause": None;
  "Debugger.resume": None;
  "Debugger.stepOver": None;
  "Debugger.stepInto": None;
  "Debugger.stepOut": None;
  "Debugger.getScriptSource": { readonly scriptId: string };
  "Debugger.evaluateOnCallFrame": EvaluateOptions & { readonly callFrameId: string };
  /** No breaks, and silent, so that no exception stops either: V8 aborts where an expression stops that interrupts a function at its very beginning. */
  "Runtime.evaluate": EvaluateOptions & { readonly disableBreaks: true };
  "Runtime.awaitPromise": {
    readonly promiseObjectId: string;
    readonly generatePreview?: boolean;
    readonly returnByValue?: boolean;
  };
  "Runtime.callFunctionOn": {
    readonly objectId: string;
    readonly functionDeclaration: string;
    readonly arguments: readonly ({ readonly value: unknown } | { readonly objectId: string })[];
    readonly objectGroup: string;
    readonly generatePreview?: boolean;
    readonly returnByValue?: boolean;
    readonly silent?: boolean;
  };
  "Runtime.getProperties": {
    readonly objectId: string;
    readonly ownProperties: boolean;
    readonly generatePreview: boolean;
  };
  "Runtime.releaseObjectGroup": { readonly objectGroup: string };
}

type Method = keyof Parameters;
type Result<M extends Method> = z.infer<(typeof results)[M]>;

export type Location = z.infer<typeof location>;
export type RemoteObject = z.infer<typeof remoteObject>;
export type ObjectPreview = z.infer<typeof objectPreview>;
export type PropertyDescriptor = z.infer<typeof property>;
export type CallFrame = z.infer<typeof callFrame>;
export type AsyncStackTrace = z.infer<typeof asyncStackTrace>;
export type Paused = z.infer<typeof paused>;
export type ScriptParsed = z.infer<typeof scriptParsed>;
export type Evaluated = z.infer<typeof evaluated>;

/** Makes V8 go on after a pause. */
export type GoOn = "Debugger.resume" | "Debugger.stepOver" | "Debugger.stepInto" | "Debugger.stepOut";

/** Objects that V8 keeps for us, until the session goes on. */
export const OBJECT_GROUP = "debug";

/** Where V8 is. */
export interface CdpTarget {
  cdp(method: string, params?: Readonly<Record<string, unknown>>): Promise<unknown>;
  onCdp(listener: (method: string, params: Readonly<Record<string, unknown>>) => void): () => void;
}

/** Hears V8. */
export interface CdpListener {
  paused(event: Paused): void;
  resumed(): void;
  scriptParsed(event: ScriptParsed): void;
}

/** V8's inspector: every method with its parameters, every answer checked. */
export class Inspector {
  readonly #target: CdpTarget;

  constructor(target: CdpTarget) {
    this.#target = target;
  }

  /** Rejects with V8's message, or where the answer is not what the protocol says. Calls are carried out in order. */
  async call<M extends Method>(method: M, params: Parameters[M]): Promise<Result<M>> {
    const answer = results[method].safeParse(await this.#target.cdp(method, { ...params }));
    if (!answer.success) throw new Error(`V8 answered ${method} with what we cannot read: ${answer.error.message}`);
    return answer.data as Result<M>;
  }

  /** Returns the function that ends it. */
  listen(listener: CdpListener): () => void {
    return this.#target.onCdp((method, params) => {
      switch (method) {
        case "Debugger.paused":
          return listener.paused(events[method].parse(params));
        case "Debugger.resumed":
          return listener.resumed();
        case "Debugger.scriptParsed":
          return listener.scriptParsed(events[method].parse(params));
      }
    });
  }

  /** Objects we were told of may be collected. */
  release(): void {
    this.call("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP }).catch(() => undefined);
  }
}

/** The object that was thrown, of a pause at an exception. */
export function thrownBy({ reason, data }: Paused): RemoteObject | undefined {
  if (reason !== "exception" && reason !== "promiseRejection") return undefined;
  return remoteObject.safeParse(data).data;
}
