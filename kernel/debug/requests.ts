import type { DebugProtocol } from "@vscode/debugprotocol";
import { z } from "zod";
import type { MimeBundle } from "../session/handle.js";

/**
 * What a front end may ask: the Debug Adapter Protocol and Jupyter's additions to it. Arguments are checked here, once. An argument
 * that is null is as one that is missing.
 */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined);
const text = z.string();
const line = z.int();
const reference = z.int();
const nothing = z.object({});
const paging = { start: optional(z.int().min(0)), count: optional(z.int().min(0)) };
const source = z.object({ path: text });

const schemas = {
  initialize: nothing,
  attach: z.object({ justMyCode: optional(z.boolean()) }),
  launch: z.object({ justMyCode: optional(z.boolean()) }),
  configurationDone: nothing,
  disconnect: nothing,
  terminate: nothing,
  debugInfo: nothing,
  dumpCell: z.object({ code: text }),
  source: z.object({ source }),
  loadedSources: nothing,
  modules: z.object({ startModule: optional(z.int().min(0)), moduleCount: optional(z.int().min(0)) }),
  setBreakpoints: z.object({
    source,
    breakpoints: optional(
      z.array(
        z.object({
          line,
          column: optional(z.int()),
          condition: optional(text),
          hitCondition: optional(text),
          logMessage: optional(text),
        }),
      ),
    ),
  }),
  setFunctionBreakpoints: nothing,
  setExceptionBreakpoints: z.object({ filters: z.array(text) }),
  exceptionInfo: nothing,
  threads: nothing,
  pause: nothing,
  continue: nothing,
  next: nothing,
  stepIn: nothing,
  stepOut: nothing,
  stackTrace: z.object({ startFrame: optional(z.int().min(0)), levels: optional(z.int().min(0)) }),
  scopes: z.object({ frameId: reference }),
  variables: z.object({
    variablesReference: reference,
    filter: optional(z.enum(["indexed", "named"])),
    ...paging,
  }),
  setVariable: z.object({ variablesReference: reference, name: text, value: text }),
  evaluate: z.object({ expression: text, frameId: optional(reference), context: optional(text) }),
  inspectVariables: nothing,
  richInspectVariables: z.object({ variableName: text, frameId: optional(reference) }),
  copyToGlobals: z.object({ srcVariableName: text, dstVariableName: text, srcFrameId: reference }),
} satisfies { readonly [C in Command]: z.ZodType };

type Empty = undefined;
interface Variables {
  readonly variables: readonly DebugProtocol.Variable[];
}

/** The body of each answer. */
export interface Bodies {
  initialize: DebugProtocol.Capabilities;
  attach: Empty;
  launch: Empty;
  configurationDone: Empty;
  disconnect: Empty;
  terminate: Empty;
  debugInfo: DebugInfo;
  dumpCell: { readonly sourcePath: string };
  source: DebugProtocol.SourceResponse["body"];
  loadedSources: DebugProtocol.LoadedSourcesResponse["body"];
  modules: DebugProtocol.ModulesResponse["body"];
  setBreakpoints: DebugProtocol.SetBreakpointsResponse["body"];
  setFunctionBreakpoints: DebugProtocol.SetFunctionBreakpointsResponse["body"];
  setExceptionBreakpoints: Empty;
  exceptionInfo: DebugProtocol.ExceptionInfoResponse["body"];
  threads: DebugProtocol.ThreadsResponse["body"];
  pause: Empty;
  continue: DebugProtocol.ContinueResponse["body"];
  next: Empty;
  stepIn: Empty;
  stepOut: Empty;
  stackTrace: DebugProtocol.StackTraceResponse["body"];
  scopes: DebugProtocol.ScopesResponse["body"];
  variables: Variables;
  setVariable: DebugProtocol.SetVariableResponse["body"];
  evaluate: DebugProtocol.EvaluateResponse["body"];
  inspectVariables: Variables;
  richInspectVariables: { readonly data: MimeBundle; readonly metadata: MimeBundle };
  copyToGlobals: Empty;
}

export type Command = keyof Bodies;
export type Arguments<C extends Command> = z.infer<(typeof schemas)[C]>;
export type SourceBreakpoint = NonNullable<Arguments<"setBreakpoints">["breakpoints"]>[number];

/** One handler for each command. */
export type Handlers = { readonly [C in Command]: (args: Arguments<C>) => Bodies[C] | Promise<Bodies[C]> };

/** What a front end needs to take up a debugger that it finds. */
export interface DebugInfo {
  readonly isStarted: boolean;
  readonly hashMethod: "Murmur2";
  readonly hashSeed: number;
  readonly tmpFilePrefix: string;
  readonly tmpFileSuffix: string;
  readonly breakpoints: readonly { readonly source: string; readonly breakpoints: readonly SourceBreakpoint[] }[];
  readonly stoppedThreads: readonly number[];
  readonly richRendering: boolean;
  readonly exceptionPaths: readonly string[];
  readonly copyToGlobals: boolean;
}

/** A request without arguments; what is missing or unfit is taken as empty, so that it can be answered. */
export function readEnvelope(content: Readonly<Record<string, unknown>>): {
  readonly seq: number;
  readonly command: string;
} {
  return { seq: z.int().catch(0).parse(content.seq), command: z.string().catch("").parse(content.command) };
}

export function isCommand(command: string): command is Command {
  return Object.hasOwn(schemas, command);
}

/** @throws {TypeError} naming the argument, its value and what was expected. */
export function readArguments<C extends Command>(command: C, given: unknown): Arguments<C> {
  const read = schemas[command].safeParse(given ?? {});
  if (read.success) return read.data as Arguments<C>;
  const [issue] = read.error.issues;
  const path = issue?.path ?? [];
  const name = path.length === 0 ? "arguments" : path.join(".");
  let value = given;
  for (const step of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[step];
  const shown = JSON.stringify(value)?.slice(0, 80) ?? "missing";
  throw new TypeError(`${command}: ${name} is ${shown}; expected ${expected(issue)}`);
}

function expected(issue: z.core.$ZodIssue | undefined): string {
  switch (issue?.code) {
    case "invalid_type":
      return /^[aeio]/.test(issue.expected) ? `an ${issue.expected}` : `a ${issue.expected}`;
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(" or ");
    case "too_small":
      return `at least ${issue.minimum}`;
    default:
      return issue?.message ?? "something else";
  }
}
