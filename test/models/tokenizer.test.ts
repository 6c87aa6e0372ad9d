import assert from "node:assert/strict";
import { test } from "node:test";
import { createTokenizer, missingTokenizer, visibleBytes } from "../../src/models/tokenizer.js";
import { damagedJson } from "../helpers/damage.js";
import { tinyTokenizer } from "../helpers/tinyTokenizer.js";

const { tokenizer: json, tokenizerConfig } = tinyTokenizer();
const tokenizer = createTokenizer(json, tokenizerConfig, "tiny");

test("any text comes back from its tokens", () => {
  for (const text of ["", "the good", " in  the\n\tthing", "naïve 😀 你好", "\u0000\u001f", "a<|end|>b"]) {
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
  assert.deepEqual(tokenizer.encode("the good").length, 2);
});

test("special tokens written in the text are tokens, and can be left out of it again", () => {
  const ids = tokenizer.encode("in<|end|>");
  assert.equal(ids.at(-1), tokenizer.eosTokenId);
  assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), "in");
  assert.deepEqual([...tokenizer.specialIds], [0, 1]);
  const literal = tokenizer.encode("in<|end|>", { parseSpecial: false });
  assert.ok(!literal.includes(0));
  assert.equal(tokenizer.decode(literal), "in<|end|>");
  assert.equal(tokenizer.padTokenId, 1);
});

test("a token shows as its text; bytes that are only part of a character are spelled out", () => {
  const ids = tokenizer.encode(" good😀");
  assert.deepEqual(ids.map(tokenizer.tokenText), [" good", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]);
  assert.equal(tokenizer.tokenText(0), "<|end|>");
  assert.equal(tokenizer.tokenText(99999), "<99999>");
  assert.equal(visibleBytes(Uint8Array.of(0x41, 0xc3, 0xa9, 0xc3, 0xff, 0xe4, 0xbd)), "Aé<0xC3><0xFF><0xE4><0xBD>");
});

test("ids that the vocabulary does not have are left out of the text; what is no id is refused", () => {
  assert.equal(tokenizer.decode([...tokenizer.encode("in"), 5000]), "in");
  assert.throws(() => tokenizer.decode([-1]), /-1/);
  assert.throws(() => tokenizer.decode([1.5]), /1\.5/);
});

test("a conversation follows the chat template", () => {
  const messages = [{ role: "user", content: "Hi" }];
  assert.equal(tokenizer.applyChatTemplate(messages), "user: Hi<|end|>");
  assert.equal(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), "user: Hi<|end|>assistant: ");
  const without = createTokenizer(json, {}, "plain");
  assert.throws(() => without.applyChatTemplate(messages), /plain: the model has no chat template/);
});

test("without tokenizer_config.json the pad token falls back to what config.json says, then to the end token", () => {
  assert.equal(createTokenizer(json, {}, "x", { padTokenId: 7, eosTokenId: 0 }).padTokenId, 7);
  assert.equal(createTokenizer(json, {}, "x", { eosTokenId: 0 }).padTokenId, 0);
  assert.equal(createTokenizer(json, {}, "x").padTokenId, undefined);
});

test("a model without tokenizer shows ids, and says what is missing when text is needed", () => {
  const none = missingTokenizer("models/x", 96);
  assert.equal(none.tokenText(17), "<17>");
  assert.throws(() => none.encode("hello"), /models\/x has no tokenizer\.json.*Put the model's tokenizer\.json/);
  assert.throws(() => none.decode([1]), /no tokenizer\.json/);
});

test("digits are what Unicode calls numbers, as in the tokenizers that models are trained with", () => {
  const digits = {
    ...json,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Digits", individual_digits: true }, json.pre_tokenizer],
    },
  };
  const split = createTokenizer(digits, {}, "digits");
  assert.equal(split.decode(split.encode("½ 12 Ⅻ")), "½ 12 Ⅻ");
});

test("a wrong tokenizer.json is refused, naming the field", () => {
  assert.throws(() => createTokenizer({}, {}, "t.json"), /t\.json: model is missing/);
  assert.throws(
    () => createTokenizer({ ...json, model: { type: "BPE", vocab: { a: -1 }, merges: [] } }, {}, "t.json"),
    /t\.json: model/,
  );
  assert.throws(
    () => createTokenizer({ ...json, decoder: { type: "Nonsense" } }, {}, "t.json"),
    /t\.json: the tokenizer cannot be built/,
  );
  assert.throws(() => createTokenizer(json, { eos_token: 3 }, "t.json"), /eos_token is 3/);
});

test("a damaged tokenizer.json gives an error or a tokenizer that answers", () => {
  const text = JSON.stringify(json);
  for (let seed = 0; seed < 200; seed++) {
    let damaged: unknown;
    try {
      damaged = JSON.parse(damagedJson(text, seed));
    } catch {
      continue;
    }
    try {
      const made = createTokenizer(damaged, tokenizerConfig, "t.json");
      made.decode(made.encode("the good 😀"));
      made.tokenText(3);
    } catch (error) {
      assert.ok(
        error instanceof Error && error.message.startsWith("t.json"),
        `seed ${seed}: ${error instanceof Error ? error.stack : error}`,
      );
    }
  }
});
