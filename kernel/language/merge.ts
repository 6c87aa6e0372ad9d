import type { Completion, CompletionItem, RuntimeName } from "./answers.js";

/** What every object has is rarely what is looked for. */
const EVERY_OBJECT = new Set(Object.getOwnPropertyNames(Object.prototype));

/**
 * What is in the case that was typed; what differs from that is proposed only where nothing is.
 * @param offset UTF-16 units: up to here the items' letters have been typed.
 */
export function inTypedCase(completion: Completion, code: string, offset: number): Completion {
  const typed = ({ start }: CompletionItem): string => code.slice(start, offset);
  const matches = (item: CompletionItem): boolean => item.text.startsWith(typed(item));
  if (!completion.items.some(matches)) return completion;
  // An import that brings the name does not begin as the name does.
  const differs = (item: CompletionItem): boolean =>
    !matches(item) && item.text.toLowerCase().startsWith(typed(item).toLowerCase());
  return { ...completion, items: completion.items.filter((item) => !differs(item)) };
}

/**
 * Typed proposals first, then living names the types do not know (`any`, properties added at run time). Without types the
 * living names alone are the answer.
 */
export function mergeCompletions(
  typed: Completion | undefined,
  living: readonly RuntimeName[],
  at: { start: number; end: number; typed: string; quote: string | undefined },
): Completion {
  const known = new Set(typed?.items.map((item) => item.text));
  const lower = at.typed.toLowerCase();
  const items = living
    .filter(
      ({ name }) =>
        name.toLowerCase().startsWith(lower) &&
        !known.has(name) &&
        (at.quote === undefined ? /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) : !/[\\\n"'`]/.test(name)),
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
  const rank = ({ text }: CompletionItem): number =>
    (text.startsWith(at.typed) ? 0 : 2) + (EVERY_OBJECT.has(text) ? 1 : 0);
  items.sort((a, b) => rank(a) - rank(b) || (a.text < b.text ? -1 : 1));
  if (typed === undefined || typed.items.length === 0)
    return { start: at.start, end: at.end, items, source: typed === undefined ? "runtime" : "types" };
  const more = items.filter(({ start, text }) => start === typed.start && !EVERY_OBJECT.has(text));
  return { ...typed, items: [...typed.items, ...more] };
}
