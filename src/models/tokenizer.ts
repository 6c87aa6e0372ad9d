import { Template } from "@huggingface/jinja";
import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { read } from "./config.js";

/** One message of a conversation. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** Text to token ids and back. */
export interface Tokenizer {
  /** False where the model's folder has none: then only `tokenText` works, and the others say what to do. */
  readonly available: boolean;
  /** How many ids there are, added tokens included. */
  readonly vocabSize: number;
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unkTokenId: number | undefined;
  /** Ids of all special tokens. */
  readonly specialIds: ReadonlySet<number>;
  /** The Jinja source that turns a conversation into text, if the model has one. */
  readonly chatTemplate: string | undefined;
  /**
   * Ids of a text. Special tokens written out in the text are recognised, unless `parseSpecial` is false: then they are
   * text like any other, which is right for what a stranger wrote. `addSpecialTokens` (default true) adds those that the
   * model begins or ends with.
   */
  encode(text: string, options?: { addSpecialTokens?: boolean; parseSpecial?: boolean }): number[];
  /** The text of some ids; bytes that are no UTF-8 become U+FFFD. `skipSpecialTokens` defaults to false. */
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
  /** One token as it is shown: its text, where bytes that are only part of a character are spelled `<0xF0>`. */
  tokenText(id: number): string;
  /** A conversation as text, by the model's chat template. `addGenerationPrompt` (default false) opens the assistant's turn. @throws Error if the model has no template. */
  applyChatTemplate(messages: readonly ChatMessage[], options?: { addGenerationPrompt?: boolean }): string;
}

const tokenSchema = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const tokenizerConfigSchema = z.looseObject({
  bos_token: tokenSchema,
  eos_token: tokenSchema,
  pad_token: tokenSchema,
  unk_token: tokenSchema,
  clean_up_tokenization_spaces: z.boolean().nullish(),
  chat_template: z
    .union([
      z.string(),
      z.array(z.looseObject({ name: z.string(), template: z.string() })),
      z.record(z.string(), z.string()),
    ])
    .nullish(),
});

const vocabularyIds = z.record(
  z.string(),
  z
    .int()
    .min(0)
    .max(2 ** 24),
);
const modelSchema = z.union([
  z.looseObject({
    type: z.literal("BPE").optional(),
    vocab: vocabularyIds,
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
  z.looseObject({ type: z.literal("WordPiece"), vocab: vocabularyIds }),
  z.looseObject({ type: z.literal("Unigram"), vocab: z.array(z.tuple([z.string(), z.number()])) }),
]);
const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z
          .int()
          .min(0)
          .max(2 ** 24),
        content: z.string().min(1),
        special: z.boolean().default(false),
      }),
    )
    .default([]),
  model: modelSchema,
  decoder: z.looseObject({ type: z.string() }).nullish(),
  normalizer: z.looseObject({ type: z.string() }).nullish(),
  pre_tokenizer: z.looseObject({ type: z.string() }).nullish(),
  post_processor: z.looseObject({ type: z.string() }).nullish(),
});

/**
 * Makes a tokenizer from a Hugging Face tokenizer.json and tokenizer_config.json.
 * @param fallback ids to use for tokens that the configuration does not name.
 * @throws Error naming the file and the field that is wrong.
 */
export function createTokenizer(
  tokenizerJson: unknown,
  tokenizerConfigJson: unknown,
  where: string,
  fallback: { bosTokenId?: number | undefined; eosTokenId?: number | undefined; padTokenId?: number | undefined } = {},
): Tokenizer {
  const json = read(tokenizerSchema, tokenizerJson, where);
  const config = read(tokenizerConfigSchema, tokenizerConfigJson ?? {}, `${where} (its tokenizer_config.json)`);
  const hub = buildHubTokenizer(json, config, where);
  const pieces: (string | undefined)[] = [];
  for (const [piece, id] of hub.get_vocab(true)) pieces[id] = piece;
  for (const { id, content } of json.added_tokens) pieces[id] = content;
  const added = new Set(json.added_tokens.map(({ id }) => id));
  const specials = json.added_tokens.filter(({ special }) => special);
  const specialIds = new Set(specials.map(({ id }) => id));
  const idOf = (token: z.infer<typeof tokenSchema>) => {
    if (token == null) return undefined;
    return hub.token_to_id(typeof token === "string" ? token : token.content);
  };
  const eosTokenId = idOf(config.eos_token) ?? fallback.eosTokenId;
  const bosTokenId = idOf(config.bos_token) ?? fallback.bosTokenId;
  const unkTokenId = idOf(config.unk_token);
  const bytes = byteSpelling(json.decoder);
  const cleanUp = config.clean_up_tokenization_spaces ?? false;
  const chatTemplate = templateOf(config.chat_template);
  let template: Template | undefined;
  let withoutSpecials: HubTokenizer | undefined;

  return Object.freeze({
    available: true,
    vocabSize: pieces.length,
    bosTokenId,
    eosTokenId,
    padTokenId: idOf(config.pad_token) ?? fallback.padTokenId ?? eosTokenId,
    unkTokenId,
    specialIds,
    chatTemplate,
    encode(
      text: string,
      { addSpecialTokens = true, parseSpecial = true }: { addSpecialTokens?: boolean; parseSpecial?: boolean } = {},
    ) {
      if (text === "" && !addSpecialTokens) return [];
      const literal = !parseSpecial && specials.some(({ content }) => text.includes(content));
      if (literal) {
        const plain = { ...json, added_tokens: json.added_tokens.filter(({ special }) => !special) };
        withoutSpecials ??= buildHubTokenizer(plain, config, where);
      }
      const { ids } = ((literal && withoutSpecials) || hub).encode(text, { add_special_tokens: addSpecialTokens });
      if (ids.some((id?: number | null) => id == null)) {
        throw new Error(
          `${where}: the text ${JSON.stringify(text.slice(0, 40))} has characters that the vocabulary has no token for.`,
        );
      }
      return ids;
    },
    decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {}) {
      const kept = Array.from(ids).filter((id) => !(skipSpecialTokens && specialIds.has(id)));
      for (const id of kept) {
        if (!Number.isInteger(id) || id < 0) throw new RangeError(`token id ${id} is not a whole number from 0 up`);
      }
      const known = kept.filter((id) => pieces[id] !== undefined);
      return known.length === 0 ? "" : hub.decode(known, { clean_up_tokenization_spaces: cleanUp });
    },
    tokenText(id: number) {
      const piece = pieces[id];
      if (piece === undefined) return `<${id}>`;
      return added.has(id) ? piece : bytes(piece);
    },
    applyChatTemplate(
      messages: readonly ChatMessage[],
      { addGenerationPrompt = false }: { addGenerationPrompt?: boolean } = {},
    ) {
      if (chatTemplate === undefined) {
        throw new Error(
          `${where}: the model has no chat template. Give it text instead of messages, or put a chat_template.jinja beside its tokenizer.json.`,
        );
      }
      template ??= new Template(chatTemplate);
      return template.render({
        messages,
        add_generation_prompt: addGenerationPrompt,
        bos_token: bosTokenId === undefined ? "" : (pieces[bosTokenId] ?? ""),
        eos_token: eosTokenId === undefined ? "" : (pieces[eosTokenId] ?? ""),
      });
    },
  });
}

/** Stands in where a model has no tokenizer: ids show as `<17>`, and whoever needs text is told what to do. */
export function missingTokenizer(where: string, vocabSize: number): Tokenizer {
  const fail = (): never => {
    throw new Error(
      `${where} has no tokenizer.json, so text cannot be turned into tokens or back. Put the model's tokenizer.json (and tokenizer_config.json) into the folder.`,
    );
  };
  return Object.freeze({
    available: false,
    vocabSize,
    bosTokenId: undefined,
    eosTokenId: undefined,
    padTokenId: undefined,
    unkTokenId: undefined,
    specialIds: new Set<number>(),
    chatTemplate: undefined,
    encode: fail,
    decode: fail,
    tokenText: (id: number) => `<${id}>`,
    applyChatTemplate: fail,
  });
}

function buildHubTokenizer(json: z.infer<typeof tokenizerSchema>, config: object, where: string): HubTokenizer {
  try {
    // The library reads every one of these keys, and expects null where there is nothing.
    const complete = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...json };
    return new HubTokenizer({ ...complete, pre_tokenizer: withAllNumbers(complete.pre_tokenizer) }, config);
  } catch (error) {
    throw new Error(
      `${where}: the tokenizer cannot be built (${(error as Error).message}). Is the file complete, and from a Hugging Face model?`,
    );
  }
}

/** The library's Digits splits off decimal digits only; Rust's, which models are trained with, everything numeric (½, Ⅻ, ²). */
function withAllNumbers(preTokenizer: unknown, depth = 0): unknown {
  if (typeof preTokenizer !== "object" || preTokenizer === null || depth > 8) return preTokenizer;
  const { type, individual_digits, pretokenizers } = preTokenizer as Record<string, unknown>;
  if (type === "Digits") {
    return {
      type: "Split",
      pattern: { Regex: individual_digits ? "\\p{N}" : "\\p{N}+" },
      behavior: "Isolated",
      invert: false,
    };
  }
  if (!Array.isArray(pretokenizers)) return preTokenizer;
  return { ...preTokenizer, pretokenizers: pretokenizers.map((inner) => withAllNumbers(inner, depth + 1)) };
}

function templateOf(field: z.infer<typeof tokenizerConfigSchema>["chat_template"]): string | undefined {
  if (field == null || typeof field === "string") return field ?? undefined;
  if (!Array.isArray(field)) return field.default;
  return (field.find(({ name }) => name === "default") ?? field[0])?.template;
}

/** How the vocabulary spells bytes: one printable character per byte (GPT-2), or `▁` for a space and `<0xF0>` for odd bytes (SentencePiece). */
function byteSpelling(decoder: unknown): (piece: string) => string {
  const kinds = decoderKinds(decoder);
  if (kinds.has("ByteLevel"))
    return (piece) => visibleBytes(Uint8Array.from(piece, (char) => byteOfChar().get(char) ?? 0x3f));
  if (kinds.has("Metaspace") || kinds.has("ByteFallback")) {
    return (piece) => {
      const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece)?.[1];
      return byte === undefined ? piece.replaceAll("▁", " ") : visibleBytes(Uint8Array.of(Number.parseInt(byte, 16)));
    };
  }
  return (piece) => piece;
}

function decoderKinds(decoder: unknown, kinds = new Set<string>(), depth = 0): Set<string> {
  if (typeof decoder !== "object" || decoder === null || depth > 4) return kinds;
  const { type, decoders } = decoder as { type?: unknown; decoders?: unknown };
  if (typeof type === "string") kinds.add(type);
  if (Array.isArray(decoders)) for (const inner of decoders) decoderKinds(inner, kinds, depth + 1);
  return kinds;
}

/** GPT-2's table: printable Latin-1 bytes stand for themselves, the others are moved up to U+0100 in order. */
function byteOfChar(): ReadonlyMap<string, number> {
  if (charTable) return charTable;
  const map = new Map<string, number>();
  let moved = 0;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    map.set(String.fromCodePoint(printable ? byte : 256 + moved++), byte);
  }
  charTable = map;
  return map;
}
let charTable: ReadonlyMap<string, number> | undefined;

/** UTF-8 as text; every byte that is not part of a whole character as `<0xF0>`. */
export function visibleBytes(bytes: Uint8Array): string {
  let text = "";
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i] ?? 0;
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    const character = decodeOrUndefined(strict, bytes.subarray(i, i + length));
    if (character !== undefined && i + length <= bytes.length) {
      text += character;
      i += length;
    } else {
      text += `<0x${first.toString(16).toUpperCase().padStart(2, "0")}>`;
      i++;
    }
  }
  return text;
}

function decodeOrUndefined(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
