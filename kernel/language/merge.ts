import type { Completion, CompletionItem, RuntimeName } from "./answers.js";

/**
 * Typed proposals first, then living names the types do not know (`any`, properties added at run time). Without types the
 * living names alone are the answer.
 */
export function mergeCompletions(
  typed: Completion | undefined,
  living: readonly RuntimeName[],
  at: { start: number; end: number; typed: string },
): Completion {
  const known = new Set(typed?.items.map((item) => item.text));
  const lower = at.typed.toLowerCase();
  const items = living
    .filter(
      ({ name }) =>
        name.toLowerCase().startsWith(lower) && !known.has(name) && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name),
    )
    .map(
      ({ name, type, signature }): CompletionItem => ({
        start: at.start,
        end: at.end,
        text: name,
        type,
        signature: signature ?? "",
      }),
    );
  items.sort(
    (a, b) => Number(b.text.startsWith(at.typed)) - Number(a.text.startsWith(at.typed)) || (a.text < b.text ? -1 : 1),
  );
  if (typed === undefined || typed.items.length === 0)
    return { start: at.start, end: at.end, items, source: typed === undefined ? "runtime" : "types" };
  return { ...typed, items: [...typed.items, ...items.filter((item) => item.start === typed.start)] };
}
