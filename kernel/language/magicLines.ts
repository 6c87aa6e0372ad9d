const LINE_MAGIC =
  /^[ \t]*(?:%[a-z]|![a-z./~][^=()]*$|![ \t]*[\w./~-]+[ \t]+(?!instanceof\b|in\b|as\b|satisfies\b|&&|\|\||[=!]=)["'\w./~$*|<>&-].*$|\?{1,2}[\p{ID_Start}$_][\p{ID_Continue}$.]*[ \t]*$|[\p{ID_Start}$_][\p{ID_Continue}$.]*\?{1,2}[ \t]*$)/iu;

/** Whether a line at which a statement may begin is a magic, a command or a question rather than TypeScript. */
export function isMagicLine(line: string): boolean {
  return LINE_MAGIC.test(line);
}

const TIMED = /^[ \t]*%%?(?:time|timeit)\b(?:[ \t]+-\w+(?:[ \t]*\d+)?)*/;

/**
 * Replaces what is no TypeScript (`%magic`, `%%cell magic`, `!command`, `?name`, `name?`) by spaces, so that all offsets stay.
 * With `names` only the marks of `?name` and `name?` are replaced: the name can then be completed and asked about. Code
 * behind `%time` and `%timeit` is kept. A line counts as a magic only where a statement may begin.
 */
export function blankMagics(source: string, names = false): string {
  if (/^\s*%%[a-z]/i.test(source)) return blankHead(source, /^\s*/.exec(source)?.[0].length ?? 0);
  if (!/^[ \t]*[%!?]|\?[ \t]*$/m.test(source)) return source;
  let mayBegin = true;
  return source
    .split("\n")
    .map((line, index, lines) => {
      // `condition\n  ? yes\n  : no` begins a line as a question does.
      const choice = /\?/.test(line) && /^\s*:/.test(lines[index + 1] ?? "");
      const magic = mayBegin && !choice && LINE_MAGIC.test(line);
      if (!magic && line.trim() !== "") mayBegin = /[;})\]\w"'`$]\s*$/.test(line);
      if (!magic) return line;
      return names && /^[ \t]*\?|\?[ \t]*$/.test(line) && !/^[ \t]*[%!]/.test(line)
        ? line.replaceAll("?", " ")
        : blankHead(line, 0);
    })
    .join("\n");
}

function blankHead(text: string, from: number): string {
  const head = TIMED.exec(text.slice(from))?.[0];
  const end = head === undefined ? text.length : from + head.length;
  return text.slice(0, end).replace(/[^\n\r]/g, " ") + text.slice(end);
}
