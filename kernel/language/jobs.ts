import type { Completion, Diagnostic } from "./answers.js";

/** What the language service asks its worker. Jobs are taken in order; a `diagnostics` job gives way to the others. */
export type Job =
  | { readonly kind: "warm" }
  | { readonly kind: "add"; readonly source: string; readonly cell: number }
  | { readonly kind: "reset"; readonly directory: string }
  | {
      readonly kind: "complete";
      readonly source: string;
      readonly offset: number;
      /** Where the chain begins whose member is being typed. */
      readonly root: number | undefined;
    }
  | { readonly kind: "inspect"; readonly source: string; readonly offset: number; readonly definition: boolean }
  | { readonly kind: "diagnostics"; readonly source: string };

/** What is known of a name without looking at values. */
export interface TypeInfo {
  /** Declaration as the checker writes it, possibly over several lines. */
  readonly signature: string;
  /** Markdown of the JSDoc text. */
  readonly documentation: string;
  readonly tags: readonly { readonly name: string; readonly text: string }[];
  /** Source text of the declaration and where it stands, when asked for. */
  /** It belongs to a function or block of the cell: a living value of that name is another's. */
  readonly local?: boolean;
  readonly definition?: { readonly text: string; readonly where: string };
}

export interface Answers {
  readonly warm: true;
  readonly add: true;
  readonly reset: true;
  readonly complete: Completion;
  readonly inspect: TypeInfo | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

export interface JobMessage {
  readonly id: number;
  readonly job: Job;
}

export type AnswerMessage =
  | { readonly id: number; readonly answer: Answers[Job["kind"]] }
  | { readonly id: number; readonly error: string };

/** Given to the worker when it starts. */
export interface WorkerSetup {
  readonly directory: string;
  /** One Int32: how many interactive jobs wait; a check of a whole cell stops when it is not zero. */
  readonly waiting: SharedArrayBuffer;
}
