/** `?name` and `??name`: what the language service knows (asked of P), or else the value; for `??` the source as well. */
import type { MimeBundle } from "../handle.js";
import { send } from "../user/output.js";
import { inspectExpression } from "../user/runtimeValues.js";

const asked = new Map<number, (bundle: MimeBundle | undefined) => void>();
let nextId = 1;
/** A language service that still warms up is not waited for longer. */
const PATIENCE_MS = 3000;

/** Text about a name, for the pager. */
export async function help(expression: string, detailLevel: 0 | 1): Promise<MimeBundle> {
  const id = nextId++;
  const told = await new Promise<MimeBundle | undefined>((resolve) => {
    asked.set(id, resolve);
    setTimeout(() => answerHelp(id, undefined), PATIENCE_MS);
    send({ type: "help", id, expression, detailLevel });
  });
  const value = inspectExpression(expression, detailLevel);
  if (!told) return value ?? { "text/plain": `${expression} is not defined` };
  const text = String(told["text/plain"] ?? "");
  const source = String(value?.["text/plain"] ?? "");
  if (detailLevel === 0 || source === "" || text.includes(source) || text.includes("\nDefined in ")) return told;
  return { "text/plain": `${text}\n\n${source}` };
}

/** P has answered. */
export function answerHelp(id: number, bundle: MimeBundle | undefined): void {
  asked.get(id)?.(bundle);
  asked.delete(id);
}
