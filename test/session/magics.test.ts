import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { notebook } from "./notebook.js";

describe("magics", () => {
  const folder = mkdtempSync(join(tmpdir(), "magics-"));
  const book = notebook({ directory: folder });
  const { run } = book;
  after(async () => {
    await book.session.dispose();
    rmSync(folder, { recursive: true });
  });

  it("%lsmagic documents each", async () => {
    const { stdout } = await run("%lsmagic");
    for (const magic of [
      "%time ",
      "%timeit",
      "%who",
      "%reset",
      "%env",
      "%cd",
      "%load",
      "%%bash",
      "!COMMAND",
      "?NAME",
      "%npm add",
      "%types",
    ])
      assert.ok(stdout.includes(magic), magic);
  });
  it("%time and %timeit measure", async () => {
    const timed = await run("%time 40 + 2");
    assert.match(timed.stdout, /^Wall time: /);
    assert.equal(timed.text, "42");
    assert.match(
      (await run("%timeit -n 10 -r 2 Math.sqrt(2)")).stdout,
      /per loop \(mean ± std. dev. of 2 runs, 10 loops each\)/,
    );
    const cell = await run("%%time\nawait null\nthrow new Error('third line')");
    assert.match(cell.traceback, /:3:7/);
    assert.match(cell.stdout, /Wall time/);
  });
  it("%who, %whos and %reset know the variables", async () => {
    await run("const first = 1; let second = 'two'");
    assert.match((await run("%who")).stdout, /first {3}second/);
    assert.match((await run("%whos")).stdout, /second {2}string {2}'two'/);
    await run("%reset first");
    assert.equal((await run("[typeof first, typeof second]")).text, "[ 'undefined', 'string' ]");
  });
  it("%env, %cd and %pwd", async () => {
    await run("%env SOME_NAME=a b");
    assert.equal((await run("process.env.SOME_NAME")).text, "'a b'");
    await run("%cd ..");
    assert.notEqual((await run("%pwd")).text, `'${folder}'`);
    await run(`%cd ${folder}`);
  });
  it("!command and %%bash run in the shell", async () => {
    const ran = await run("const before = 1\n!echo $((1 + 2)) && echo err >&2\nbefore + 1");
    assert.deepEqual([ran.stdout, ran.stderr, ran.text], ["3\n", "err\n", "2"]);
    assert.equal((await run("%%bash\nfor i in 1 2; do\n  echo $i\ndone")).stdout, "1\n2\n");
    assert.match((await run("%%bash\nexit 3")).traceback, /bash ended with code 3/);
  });
  it("?name opens the pager", async () => {
    const { outcome } = await run("function asked(x: number) { return x }\nasked??");
    assert.ok(outcome.status === "ok");
    assert.match(JSON.stringify(outcome.payload), /"source":"page".*function asked\(x\)/);
  });
  it("%load and %%writefile", async () => {
    await run("%%writefile written.ts\nexport const w = 1");
    assert.equal(readFileSync(join(folder, "written.ts"), "utf8"), "export const w = 1");
    const { outcome } = await run("%load written.ts");
    assert.ok(outcome.status === "ok");
    assert.match(JSON.stringify(outcome.payload), /set_next_input.*export const w/);
  });
  it("leave TypeScript alone that only looks like them", async () => {
    assert.equal((await run("const off = false\n!off")).text, "true");
    assert.equal((await run("!(1 > 2)")).text, "true");
    assert.equal((await run("const text = `\n%who\n!ls\n`; text.length")).text, "10");
    assert.equal((await run("const seven = 7\n  % 4; seven")).text, "3");
    assert.match((await run("%nothing")).traceback, /%nothing is no magic here/);
  });
  it("leave choices, remainders and negations alone", async () => {
    assert.equal((await run("const chosen = true\n  ? 'y'\n  : 'n'\nchosen")).text, "'y'");
    assert.equal((await run("const picked = chosen\n  ? seven\n  : off\npicked")).text, "3");
    assert.equal((await run("const time = 2; const nine = 9\nnine\n%time")).text, "1");
    assert.match((await run("nine\n%who")).stdout, /nine/);
    assert.equal((await run("!/x/.test('x')")).text, "false");
    assert.equal((await run("const many = [1]\n!many.some((one) =>\n  one > 1)")).text, "true");
  });
  it("that are mistaken name the nearest, and each explains itself", async () => {
    const nearest = {
      "%tme 1": "%time",
      "%%bsh\nls": "%%bash",
      "%whoo": "%who",
      "%bash": "%%bash",
      "%pip install x": "%npm add",
    };
    for (const [written, meant] of Object.entries(nearest))
      assert.ok((await run(written)).traceback.includes(`did you mean ${meant}?`), written);
    for (const asked of ["%timeit?", "?%timeit", "%%timeit?"]) {
      const { outcome } = await run(asked);
      assert.match(JSON.stringify(outcome.status === "ok" && outcome.payload), /LOOPS.*how long|many times/, asked);
    }
  });
  it("!command takes a variable's value in braces, and goes on behind a backslash", async () => {
    await run("const word = 'hello', box = { size: 3 }");
    assert.equal(
      (await run("!echo {word} {box.size} {nobody} a{b,c} \\\n  end | cat")).stdout,
      "hello 3 {nobody} a{b,c} end\n",
    );
  });
  it("%cd - goes back; %%writefile -a appends; lines may end as on Windows", async () => {
    const before = (await run("%pwd")).text;
    await run("%cd ..\n%cd -");
    assert.equal((await run("%pwd")).text, before);
    await run("%%writefile lines.txt\none\n");
    await run("%%writefile -a lines.txt\ntwo");
    assert.equal(readFileSync(join(folder, "lines.txt"), "utf8"), "one\ntwo");
    assert.equal((await run("%%bash\r\necho one\r\necho two\r\n")).stdout, "one\ntwo\n");
  });
  it("%npm add installs next to the notebook and needs no restart", async () => {
    writeFileSync(join(folder, "package.json"), '{"name":"nb","version":"1.0.0"}');
    const local = join(folder, "local-pkg");
    const { mkdirSync } = await import("node:fs");
    mkdirSync(local);
    writeFileSync(
      join(local, "package.json"),
      '{"name":"local-pkg","version":"1.0.0","type":"module","exports":"./i.js"}',
    );
    writeFileSync(join(local, "i.js"), "export const installed = 'yes'");
    assert.equal((await run("import { installed } from 'local-pkg'")).outcome.status, "error");
    const ran = await run("%npm add ./local-pkg --offline");
    assert.equal(ran.outcome.status, "ok", ran.stderr + ran.traceback);
    assert.equal((await run("import { installed } from 'local-pkg'; installed")).text, "'yes'");
  });
});
