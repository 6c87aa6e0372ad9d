import type { Session } from "../session/handle.js";
import type { LanguageAnswers } from "./languageAnswers.js";

const chainBeforeCursor = /((?:[\p{ID_Start}$_][\p{ID_Continue}$]*\??\.)*)([\p{ID_Start}$_]?[\p{ID_Continue}$]*)$/u;
const restOfName = /^[\p{ID_Continue}$]*/u;

/** Answers from living values alone. */
export function runtimeAnswers(session: Session<never>): LanguageAnswers {
  return {
    async complete(code, offset) {
      const [, chain = "", typed = ""] = chainBeforeCursor.exec(code.slice(0, offset)) ?? [];
      const members = await session.runtimeComplete(chain.replaceAll("?", "").replace(/\.$/, ""));
      const start = offset - typed.length;
      const items = members
        .filter(({ name }) => name.startsWith(typed))
        .map(({ name, type }) => ({ start, end: offset, text: name, type }));
      return { start, end: offset, items };
    },
    async inspect(code, offset, detailLevel) {
      const end = offset + (restOfName.exec(code.slice(offset))?.[0].length ?? 0);
      const [, chain = "", name = ""] = chainBeforeCursor.exec(code.slice(0, end)) ?? [];
      const data =
        name === "" ? undefined : await session.runtimeInspect(chain.replaceAll("?", "") + name, detailLevel);
      return data ? { found: true, data } : { found: false, data: {} };
    },
    isComplete: () => ({ status: "unknown" }),
  };
}
