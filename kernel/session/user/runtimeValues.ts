/** Looking at values without running anything: no getter, no proxy trap, no call. */
import type { MimeBundle, RuntimeCompletion } from "../handle.js";

/** Members of the value that a chain of names leads to. */
export function complete(_expression: string): RuntimeCompletion[] {
  return [];
}

/** The value of a chain of names. */
export function inspectExpression(_expression: string, _detailLevel: 0 | 1): MimeBundle | undefined {
  return undefined;
}
