/** Text for HTML: nothing in it can be markup, in an element or in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (c) => `&#${c.charCodeAt(0)};`);
}

// Characters that are invisible, that reorder or swallow their neighbours, or that stand for bytes which are no character.
const hidden =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffc]|\u034f|[\u17b4\u17b5]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udfff]/g;

/**
 * A token's text as it is drawn inside running text. Spaces stay spaces inside and before words; a token that is nothing
 * but white space, tabs, line ends, control and invisible characters are drawn as visible signs (a line end keeps its
 * break). The result is text, not HTML.
 */
export function visibleText(text: string): string {
  const blank = /^[ \t\r\n\u00a0]*$/.test(text);
  return text
    .replace(hidden, sign)
    .replace(/\r/g, "␍")
    .replace(/\n/g, "↵\n")
    .replace(/\t/g, "⇥\t")
    .replace(/ +/g, (run) => (blank ? "·".repeat(run.length) : run))
    .replace(/\u00a0/g, "⍽");
}

/** A token's text on one line for a heading or a list: every space and line end is a sign. */
export function quotedText(text: string): string {
  return text
    .replace(hidden, sign)
    .replace(/\r/g, "␍")
    .replace(/\n/g, "↵")
    .replace(/\t/g, "⇥")
    .replace(/\u00a0/g, "⍽")
    .replace(/ /g, "␣");
}

/** True when a token's text holds something that {@link visibleText} had to make visible, or bytes that are no character. */
export function isOdd(text: string): boolean {
  hidden.lastIndex = 0;
  const found = hidden.test(text) || text.includes("\ufffd") || text === "" || /^[ \t\r\n\u00a0]+$/.test(text);
  hidden.lastIndex = 0;
  return found;
}

function sign(found: string): string {
  const code = found.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
