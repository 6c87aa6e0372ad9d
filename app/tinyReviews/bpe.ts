/**
 * Training of a byte-level BPE tokenizer (Sennrich et al. 2016; bytes as in GPT-2, Radford et al. 2019), written out in the
 * form of a Hugging Face tokenizer.json.
 */

/** GPT-2's way to cut a text into words before any merging; the ByteLevel pre-tokenizer of tokenizer.json means this pattern. */
const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The visible character that stands for each byte: itself where it prints, else one from U+0100 on. */
const byteCharacters: readonly string[] = (() => {
  let next = 256;
  const prints = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(prints(byte) ? byte : next++));
})();

/** A trained vocabulary: pieces by id (special tokens first), and the merges in order of learning. */
export interface Bpe {
  readonly specialTokens: readonly string[];
  readonly pieces: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

/**
 * Learns merges from texts until the vocabulary has `vocabSize` pieces or no pair occurs twice.
 * Always the same result for the same texts: ties go to the pair that comes first in code unit order.
 */
export function trainBpe(texts: Iterable<string>, vocabSize: number, specialTokens: readonly string[]): Bpe {
  const counts = new Map<string, number>();
  const encoder = new TextEncoder();
  for (const text of texts) {
    for (const [word] of text.matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const entries = [...counts].map(([word, count]) => ({
    symbols: Array.from(encoder.encode(word), (byte) => byteCharacters[byte] ?? ""),
    count,
  }));
  const pieces = [...specialTokens, ...byteCharacters];
  const merges: [string, string][] = [];
  while (pieces.length < vocabSize) {
    const pairs = new Map<string, number>();
    for (const { symbols, count } of entries) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair = `${symbols[i]} ${symbols[i + 1]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + count);
      }
    }
    let best = "";
    let most = 1;
    for (const [pair, count] of pairs) {
      if (count > most || (count === most && most > 1 && pair < best)) {
        best = pair;
        most = count;
      }
    }
    if (best === "") break;
    const [left = "", right = ""] = best.split(" ");
    merges.push([left, right]);
    pieces.push(left + right);
    for (const entry of entries) entry.symbols = merged(entry.symbols, left, right);
  }
  return { specialTokens, pieces, merges };
}

function merged(symbols: readonly string[], left: string, right: string): string[] {
  const result: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    if (symbols[i] === left && symbols[i + 1] === right) {
      result.push(left + right);
      i++;
    } else result.push(symbols[i] ?? "");
  }
  return result;
}

/** The tokenizer.json of a vocabulary: byte-level BPE that puts `bosToken` in front of every text. */
export function tokenizerJson({ specialTokens, pieces, merges }: Bpe, bosToken: string): object {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const bos = { SpecialToken: { id: bosToken, type_id: 0 } };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: {
      type: "TemplateProcessing",
      single: [bos, { Sequence: { id: "A", type_id: 0 } }],
      pair: [bos, { Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { [bosToken]: { id: bosToken, ids: [specialTokens.indexOf(bosToken)], tokens: [bosToken] } },
    },
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: merges.map((pair) => pair.join(" ")),
    },
  };
}
