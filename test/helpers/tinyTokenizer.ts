/**
 * A byte-level BPE tokenizer.json over the 256 bytes, a few merges and two special tokens: small enough to read, and
 * able to spell any text.
 */
export function tinyTokenizer(): { tokenizer: Record<string, unknown>; tokenizerConfig: Record<string, unknown> } {
  const { tokens, merges } = tinyVocabulary();
  return {
    tokenizer: {
      version: "1.0",
      added_tokens: ["<|end|>", "<|pad|>"].map((content, id) => ({ id, content, special: true, normalized: false })),
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: null,
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: { type: "BPE", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
    },
    tokenizerConfig: {
      eos_token: "<|end|>",
      pad_token: { content: "<|pad|>" },
      chat_template:
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
    },
  };
}

/** The same vocabulary as plain lists: two special tokens, 256 bytes in GPT-2's spelling, and what the merges make. */
export function tinyVocabulary(): { tokens: string[]; merges: string[] } {
  const bytes: string[] = [];
  let moved = 0;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    bytes.push(String.fromCodePoint(printable ? byte : 256 + moved++));
  }
  const merges = ["t h", "th e", "Ġ the", "i n", "o o", "g oo", "goo d", "Ġ good"];
  return { tokens: ["<|end|>", "<|pad|>", ...bytes, ...merges.map((merge) => merge.replace(" ", ""))], merges };
}
