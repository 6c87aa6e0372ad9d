/** A notebook without Jupyter: runs cells through the Session handle and keeps what each published. */
import { stripVTControlCharacters } from "node:util";
import type { ExecuteOutcome, Publish, SessionExit, SessionOptions } from "../../kernel/session/handle.js";
import { createSession } from "../../kernel/session/session.js";

export interface Parent {
  readonly cell: number;
}

export interface Ran {
  readonly outcome: ExecuteOutcome;
  readonly cell: number;
  readonly messages: readonly Publish<Parent>[];
  readonly stdout: string;
  readonly stderr: string;
  /** text/plain of the execute_result, without colours. */
  readonly text: string | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;
  /** Without colours. */
  readonly traceback: string;
}

export function notebook(
  options: Partial<SessionOptions<Parent>> & { answer?: (prompt: string, password: boolean) => Promise<string> } = {},
) {
  const all: Publish<Parent>[] = [];
  const exits: SessionExit[] = [];
  const session = createSession<Parent>({
    ...options,
    events: {
      publish: (message) => void all.push(message),
      input: ({ prompt, password }) => options.answer?.(prompt, password) ?? Promise.resolve(`you said ${prompt}`),
      exit: (exit) => void exits.push(exit),
      ...options.events,
    },
  });
  let count = 0;
  const of = (cell: number): Publish<Parent>[] => all.filter((message) => message.parent?.cell === cell);
  const stream = (cell: number, name: string): string =>
    of(cell)
      .filter((message) => message.msgType === "stream" && message.content.name === name)
      .map((message) => String(message.content.text))
      .join("");
  const run = async (
    code: string,
    extra: { silent?: boolean; allowStdin?: boolean; userExpressions?: Record<string, string> } = {},
  ): Promise<Ran> => {
    const cell = ++count;
    const outcome = await session.execute({
      id: `request ${cell}`,
      code,
      executionCount: cell,
      silent: extra.silent ?? false,
      storeHistory: true,
      userExpressions: extra.userExpressions ?? {},
      allowStdin: extra.allowStdin ?? true,
      parent: { cell },
    });
    const data = of(cell).find(({ msgType }) => msgType === "execute_result")?.content.data as
      | Record<string, unknown>
      | undefined;
    return {
      outcome,
      cell,
      messages: of(cell),
      stdout: plain(stream(cell, "stdout")),
      stderr: plain(stream(cell, "stderr")),
      text: data && plain(String(data["text/plain"])),
      data,
      traceback: outcome.status === "error" ? plain(outcome.traceback.join("\n")) : "",
    };
  };
  /** Run a cell and interrupt it after a while. */
  const interrupted = async (code: string, after = 150): Promise<Ran & { readonly milliseconds: number }> => {
    const running = run(code);
    await sleep(after);
    const started = performance.now();
    await session.interrupt();
    const milliseconds = performance.now() - started;
    return { ...(await running), milliseconds };
  };
  return { session, run, interrupted, all, of, exits, output: (cell: number) => plain(stream(cell, "stdout")) };
}

export function plain(text: string): string {
  return stripVTControlCharacters(text);
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Wait until something holds; fails after five seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited five seconds for ${what}`);
    await sleep(5);
  }
}
