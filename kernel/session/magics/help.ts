/** `?name` and `??name`: what the language service knows (asked of P), or else the value. */
import type { MimeBundle } from "../handle.js";
import { send } from "../user/output.js";
import { inspectExpression } from "../user/runtimeValues.js";

const asked = new Map<number, (bundle: MimeBundle | undefined) => void>();
let nextId = 1;

/** Text about a name, for the pager. */
export async function help(expression: string, detailLevel: 0 | 1): Promise<MimeBundle> {
  const id = nextId++;
  const told = await new Promise<MimeBundle | undefined>((resolve) => {
    asked.set(id, resolve);
    send({ type: "help", id, expression, detailLevel });
  });
  return told ?? inspectExpression(expression, detailLevel) ?? { "text/plain": `${expression} is not defined` };
}

/** P has answered. */
export function answerHelp(id: number, bundle: MimeBundle | undefined): void {
  asked.get(id)?.(bundle);
  asked.delete(id);
}
