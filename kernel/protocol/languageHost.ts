import type { LanguageService } from "../language/languageService.js";
import type { Session } from "../session/handle.js";
import type { Failure, Header } from "../wire/messages.js";
import type { LanguageAnswers } from "./languageAnswers.js";

/** What to do about type errors: nothing, a warning beside the output, or hold the cell back. */
export type TypeCheck = "off" | "warn" | "strict";

/** A cell that is about to run. */
export interface StartingCell {
  readonly code: string;
  readonly executionCount: number;
  readonly parent: Header;
  /** Whether a front end for people sent it: these name the cell. */
  readonly named: boolean;
}

const rememberedCells = 2_000;
/** More unanswered checks than this mean that cells come faster than a reader reads. */
const waitingChecks = 4;
/** Milliseconds that the first cells have the machine to themselves. */
const settling = 800;
const writtenInTypes =
  /^\s*(?:export\s+)?(?:declare\s+)?(?:interface|type|enum|abstract\s+class)\s+[\w$]+|[\w$\])]\s*\??:\s*(?:string|number|boolean|unknown|never|void|any|bigint|symbol|object|null|undefined|readonly|[A-Z][\w$]*)\b|\bas\s+(?:const|[\w$]+)|\bsatisfies\s/m;

/**
 * The language service as the protocol side uses it: loaded at the first question, told of every cell, and asked for type
 * errors once it is worth its memory, which is when a person writes types or sits at a front end.
 */
export class LanguageHost {
  #service: Promise<LanguageService> | undefined;
  #loaded: LanguageService | undefined;
  #mode: TypeCheck;
  #earlier: { readonly code: string; readonly executionCount: number }[] = [];
  #checking = 0;

  /** @param say shows text on stderr under a cell, also after it has ended. */
  constructor(
    private readonly session: Session<Header>,
    private readonly say: (text: string, parent: Header) => void,
    private readonly log: (line: string) => void,
    mode: string | undefined = process.env.POLICYSCOPE_TYPES,
  ) {
    this.#mode = mode === "off" || mode === "strict" ? mode : "warn";
  }

  set mode(mode: TypeCheck) {
    this.#mode = mode;
  }

  /** The service, loaded by now if it was not. Its checker may still be warming up; its answers then come from living values. */
  answers(): Promise<LanguageAnswers> {
    this.#service ??= this.#load();
    return this.#service;
  }

  /** Before a cell runs: the reason to hold it back, or undefined. Its type errors are shown when they are known. */
  async before(cell: StartingCell): Promise<Failure | undefined> {
    const check = this.#check(cell);
    this.#remember(cell);
    if (this.#mode !== "strict") return undefined;
    const found = await check;
    return found === undefined
      ? undefined
      : {
          ename: "TypeError",
          evalue: "type errors in the cell (%types warn runs it all the same)",
          traceback: [found],
        };
  }

  /** The session's variables are gone. */
  reset(): void {
    this.#earlier = [];
    this.#loaded?.reset();
  }

  #remember({ code, executionCount }: StartingCell): void {
    this.#loaded?.addCell(code, executionCount);
    if (this.#loaded) return;
    this.#earlier.push({ code, executionCount });
    if (this.#earlier.length > rememberedCells) this.#earlier.shift();
  }

  /** The cell's type errors as text; undefined when there are none or nobody wants to know. */
  async #check({ code, executionCount, parent, named }: StartingCell): Promise<string | undefined> {
    const strict = this.#mode === "strict";
    if (this.#mode === "off" || (!strict && this.#checking >= waitingChecks)) return undefined;
    if (!strict && !named && this.#loaded?.state !== "ready" && !writtenInTypes.test(code)) return undefined;
    this.#checking++;
    try {
      if (!this.#loaded && !strict) await new Promise((resolve) => setTimeout(resolve, settling));
      this.#service ??= this.#load();
      const service = this.#loaded ?? (await this.#service);
      const errors = (await service.diagnostics(code)).filter(({ category }) => category === "error");
      if (errors.length === 0) return undefined;
      const { presentDiagnostics } = await import("../language/present.js");
      const text = presentDiagnostics(errors, executionCount, true);
      if (!strict) this.say(text, parent);
      return text;
    } catch (error) {
      this.log(`the cell's types could not be checked: ${(error as Error).message}`);
      return undefined;
    } finally {
      this.#checking--;
    }
  }

  async #load(): Promise<LanguageService> {
    const { LanguageService } = await import("../language/languageService.js");
    const service = new LanguageService({
      directory: process.cwd(),
      runtime: {
        complete: (expression) => this.session.runtimeComplete(expression),
        inspect: (expression) => this.session.runtimeInspect(expression),
      },
      log: this.log,
    });
    for (const { code, executionCount } of this.#earlier) service.addCell(code, executionCount);
    this.#earlier = [];
    this.#loaded = service;
    return service;
  }
}
