/**
 * Jupyter counts a cursor's place in Unicode code points, JavaScript in UTF-16 units; they differ after any character
 * beyond U+FFFF. The whole kernel uses UTF-16 units; these two functions are its edge.
 */

/** The UTF-16 offset of a code point offset. Undefined, or a place past the end, is the end. */
export function toUtf16(text: string, codePoints: number | undefined): number {
  if (codePoints === undefined) return text.length;
  let offset = 0;
  for (let counted = 0; counted < codePoints && offset < text.length; counted++)
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  return offset;
}

/** The code point offset of a UTF-16 offset. A place within a pair counts as after it. */
export function toCodePoints(text: string, utf16: number): number {
  let counted = 0;
  for (let offset = 0; offset < Math.min(utf16, text.length); counted++)
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  return counted;
}
