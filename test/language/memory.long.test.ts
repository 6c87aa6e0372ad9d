import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { LanguageService } from "../../kernel/language/languageService.js";

test("what the checker took for two hundred cells it gives back when nobody asks", { timeout: 120_000 }, async () => {
  const service = new LanguageService({ directory: tmpdir() });
  await service.warm();
  const megabytes = (): number => process.memoryUsage.rss() / 2 ** 20;
  const warm = megabytes();
  for (let cell = 1; cell <= 200; cell++) {
    const code = `const o${cell % 40} = { a: ${cell}, b: "x" }; function f${cell % 40}(n: number) { return n + ${cell} }`;
    service.addCell(code, cell);
    await service.diagnostics(code);
    await service.complete(`o${cell % 40}.`, `o${cell % 40}.`.length);
  }
  const most = megabytes();
  for (let waited = 0; waited < 60 && megabytes() > warm + 80; waited++) await delay(1000);
  assert.ok(megabytes() < warm + 80, `${warm} MB warm, ${most} MB after the cells, ${megabytes()} MB at rest`);
  await service.dispose();
});
