/** The few line and cell magics that Jupyter people expect. */
import type { Work } from "../user/work.js";

type Result = readonly unknown[] | undefined;

/** Run a cell in which some line may be a magic. `run` runs TypeScript. */
export async function runWithMagics(
  code: string,
  run: (code: string) => Result | Promise<Result>,
  _work: Work,
): Promise<Result> {
  return run(code);
}
