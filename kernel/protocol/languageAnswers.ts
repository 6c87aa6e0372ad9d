import type { Reply, RequestContents } from "../wire/messages.js";
import { toCodePoints, toUtf16 } from "./offsets.js";

/** What the protocol asks of the language service. Offsets are UTF-16 units. */
export interface LanguageAnswers {
  complete(
    code: string,
    offset: number,
  ): Promise<{
    readonly start: number;
    readonly end: number;
    readonly items: readonly {
      readonly start: number;
      readonly end: number;
      readonly text: string;
      readonly type: string;
      readonly signature?: string;
      readonly documentation?: string;
    }[];
  }>;
  inspect(
    code: string,
    offset: number,
    detailLevel: 0 | 1,
  ): Promise<{ readonly found: boolean; readonly data: Readonly<Record<string, unknown>> }>;
  isComplete(code: string): Promise<Reply<"is_complete_request">> | Reply<"is_complete_request">;
}

/** Completions as the protocol has them: offsets in code points, and the types that front ends draw icons for. */
export async function completeReply(
  { code, cursor }: RequestContents["complete_request"],
  language: LanguageAnswers,
): Promise<Reply<"complete_request">> {
  const { start, end, items } = await language.complete(code, toUtf16(code, cursor));
  const place = new Map<number, number>();
  const codePoints = (offset: number): number => {
    const known = place.get(offset) ?? toCodePoints(code, offset);
    place.set(offset, known);
    return known;
  };
  return {
    status: "ok",
    matches: items.map((item) => item.text),
    cursor_start: codePoints(start),
    cursor_end: codePoints(end),
    metadata: {
      _jupyter_types_experimental: items.map((item) => ({
        text: item.text,
        type: item.type,
        start: codePoints(item.start),
        end: codePoints(item.end),
        ...(item.signature ? { signature: item.signature } : {}),
        ...(item.documentation ? { documentation: item.documentation } : {}),
      })),
    },
  };
}

/** What is known about the name at the cursor. */
export async function inspectReply(
  { code, cursor, detailLevel }: RequestContents["inspect_request"],
  language: LanguageAnswers,
): Promise<Reply<"inspect_request">> {
  const { found, data } = await language.inspect(code, toUtf16(code, cursor), detailLevel);
  return { status: "ok", found, data: { ...data }, metadata: {} };
}
