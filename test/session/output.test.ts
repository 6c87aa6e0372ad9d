import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { notebook, plain, until } from "./notebook.js";

describe("output", () => {
  const book = notebook();
  const { run } = book;
  after(() => book.session.dispose());

  it("of console is what Node prints, in colour", async () => {
    const ran = await run(
      "console.log('%s is %d', 'x', 3, { a: [1] }); console.error('wrong'); console.group('g'); console.info('in'); console.groupEnd(); console.log()",
    );
    assert.equal(ran.stdout, "x is 3 { a: [ 1 ] }\ng\n  in\n\n");
    assert.equal(ran.stderr, "wrong\n");
    assert.match(JSON.stringify(ran.messages.map(({ content }) => content.text)), /u001b\[33m1/);
    assert.match((await run("console.table([{ a: 1 }])")).stdout, /│ \(index\) │ a │/);
  });

  it("of process.stdout and child processes arrives in order", async () => {
    const ran = await run(
      "process.stdout.write('one '); process.stdout.write(Buffer.from('two\\n')); require('node:child_process').execSync('echo three', { stdio: 'inherit' }); console.log('four')",
    );
    assert.equal(ran.stdout, "one two\nthree\nfour\n");
  });

  it("of synchronous children lies between the lines before and after", async () => {
    const ran = await run(
      "const { execSync } = require('node:child_process'); for (let i = 0; i < 6; i++) { console.log('mine', i); execSync('echo theirs ' + i + '; echo wrong >&2', { stdio: 'inherit' }); }; void 0",
    );
    assert.equal(ran.stdout, Array.from({ length: 6 }, (_, i) => `mine ${i}\ntheirs ${i}\n`).join(""));
    assert.equal(ran.stderr, "wrong\n".repeat(6));
  });

  it("appears while the cell is busy", async () => {
    const running = run("console.log('begun'); const end = Date.now() + 700; while (Date.now() < end);");
    const started = performance.now();
    await until(() => book.all.some(({ content }) => content.text === "begun\n"), "the line");
    assert.ok(performance.now() - started < 600);
    await running;
  });

  it("of 200,000 lines arrives whole in few messages", async () => {
    const ran = await run("for (let i = 0; i < 200_000; i++) console.log('line ' + i)");
    const lines = ran.stdout.split("\n");
    assert.equal(lines.length, 200_001);
    assert.equal(lines[199_999], "line 199999");
    assert.ok(ran.messages.length < 400, `${ran.messages.length} messages`);
  });

  it("of one large string arrives whole, characters unharmed", async () => {
    const ran = await run("process.stdout.write('é😀'.repeat(500_000))");
    assert.equal(ran.stdout, "é😀".repeat(500_000));
  });

  it("that comes late goes to the cell that started the work", async () => {
    const { cell } = await run(
      "setTimeout(() => console.log('timer'), 30); Promise.resolve().then(() => new Promise(r => setTimeout(r, 30))).then(() => console.log('promise')); queueMicrotask(() => setTimeout(() => console.log('micro'), 35)); require('node:fs').readFile('package.json', () => setTimeout(() => console.log('io'), 40)); setInterval(function () { console.log('interval'); clearInterval(this as any) }, 45); void 0",
    );
    const worker = await run(
      "import { Worker } from 'node:worker_threads'; new Worker('setTimeout(() => console.log(\"worker\"), 20)', { eval: true }); void 0",
    );
    const child = await run(
      "import { spawn } from 'node:child_process'; spawn('sh', ['-c', 'sleep 0.1; echo child'], { stdio: 'inherit' }); void 0",
    );
    await run("console.log('in between')");
    await until(
      () => ["timer", "promise", "micro", "io", "interval"].every((word) => book.output(cell).includes(word)),
      "late output",
    );
    await until(
      () => book.output(worker.cell) === "worker\n" && book.output(child.cell) === "child\n",
      "output of workers and children",
    );
  });

  it("that comes late from servers, finalizers, microtasks and children waited for goes there, too", async () => {
    const late: Record<string, string> = {
      server:
        "const server = require('node:net').createServer((s: any) => s.on('data', () => { console.log('late'); s.end(); server.close() })).listen(0, () => { const c = require('node:net').connect(server.address().port); setTimeout(() => c.write('x'), 30) })",
      finalizer:
        "require('node:v8').setFlagsFromString('--expose-gc'); const collected = new FinalizationRegistry(() => console.log('late')); (() => collected.register({}, 1))(); setTimeout(() => require('node:vm').runInNewContext('gc')(), 30)",
      microtask: "setTimeout(() => queueMicrotask(() => { throw new Error('late') }), 30)",
      descriptor: "setTimeout(() => require('node:fs').writeSync(1, 'late'), 30)",
      child: "setTimeout(() => require('node:child_process').execSync('echo late', { stdio: 'inherit' }), 30)",
    };
    const cells = new Map<string, number>();
    for (const [what, code] of Object.entries(late)) cells.set(what, (await run(`{ ${code} } void 0`)).cell);
    await run("await new Promise(r => setTimeout(r, 100))");
    for (const [what, cell] of cells)
      await until(() => book.of(cell).some(({ content }) => JSON.stringify(content).includes("late")), what);
  });

  it("display shows, updates and clears", async () => {
    const ran = await run(
      "display('a', { display_id: 'd1' }); display('b', { update: true, display_id: 'd1' }); display({ 'text/html': '<b>x</b>' }, { raw: true }); display.clear({ wait: true })",
    );
    assert.deepEqual(
      ran.messages.map(({ msgType, content }) => [
        msgType,
        (content.transient as { display_id?: string } | undefined)?.display_id === "d1",
        Object.keys((content.data as object | undefined) ?? {})[0] ?? content.wait,
      ]),
      [
        ["display_data", true, "text/plain"],
        ["update_display_data", true, "text/plain"],
        ["display_data", false, "text/html"],
        ["clear_output", false, true],
      ],
    );
    assert.equal(ran.text, undefined);
  });

  it("honours Symbol.for('Jupyter.display'), sync and async, and says what went wrong in it", async () => {
    assert.equal(
      (await run("({ [Symbol.for('Jupyter.display')]: () => ({ 'text/markdown': '# hi' }) })")).data?.["text/markdown"],
      "# hi",
    );
    assert.equal(
      (await run("({ async [Symbol.for('Jupyter.display')]() { await null; return { 'text/html': '<i>' } } })")).data?.[
        "text/html"
      ],
      "<i>",
    );
    const wrong = await run("({ [Symbol.for('Jupyter.display')]() { throw new Error('cannot') } })");
    assert.match(wrong.stderr, /cannot/);
    assert.ok(wrong.text);
    const shown = await run(
      "display({ async [Symbol.for('Jupyter.display')]() { await new Promise(r => setTimeout(r, 20)); return { 'text/html': 'late' } } })",
    );
    assert.equal(shown.messages[0]?.msgType, "display_data");
  });

  it("shows tables, images, charts and typed arrays richly, and escapes what it shows", async () => {
    assert.match(
      String((await run("[{ a: 1, b: '<script>' }, { a: 2 }]")).data?.["text/html"]),
      /<th>a<\/th><th>b<\/th>[\s\S]*&#60;script&#62;/,
    );
    assert.match(
      String((await run("new Map([['k', { v: 1 }]])")).data?.["text/html"]),
      /<td>k<\/td><td>\{ v: 1 \}<\/td>/,
    );
    assert.match(String((await run("new Set(['one'])")).data?.["text/html"]), /one/);
    assert.match(
      String((await run("Float32Array.from({ length: 50 }, (_, i) => i)")).data?.["text/html"]),
      /Float32Array \[50\] · min 0 · max 49 · mean 24.5[\s\S]*<polyline/,
    );
    assert.equal((await run("Buffer.from('iVBORw0KGgo=', 'base64')")).data?.["image/png"], "iVBORw0KGgo=");
    assert.ok(
      (await run("({ $schema: 'https://vega.github.io/schema/vega-lite/v5.json' })")).data?.[
        "application/vnd.vegalite.v5+json"
      ],
    );
    assert.ok((await run("({ data: [{ y: [1, 2] }], layout: {} })")).data?.["application/vnd.plotly.v1+json"]);
    assert.equal((await run("Jupyter.html`<b>$" + "{1 + 1}</b>`")).data?.["text/html"], "<b>2</b>");
    assert.equal(plain(String((await run("({ a: 1 })")).data?.["text/plain"])), "{ a: 1 }");
  });

  it("cuts huge values with a word on it", async () => {
    const ran = await run("Array.from({ length: 99 }, () => 'x'.repeat(5000))");
    assert.ok((ran.text?.length ?? 0) < 110_000);
    assert.match(ran.text ?? "", /more characters/);
    for (const [code, way] of [
      ["'x'.repeat(20_000)", /10000 more characters\n\(console\.log prints it whole\)$/],
      ["Array(200).fill(1)", /100 more items\n\]\n\(console\.dir\(value, .*\) prints all of it\)$/],
      ["({ a: [Array(101).fill(1)] })", /prints all of it\)$/],
      ["new Float32Array(200)", /subarray\(from, to\)/],
      ["Array(100).fill(1)", /1\n\]$/],
    ] as const)
      assert.match((await run(code)).text ?? "", way);
    const wide = await run("Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => ['k' + i, i]))");
    assert.match(wide.text ?? "", /... 10000 more properties: Object.keys|more characters/);
    const nested = await run(
      "const inner = () => Object.fromEntries(Array.from({ length: 2000 }, (_, i) => ['k' + i, i])); Array.from({ length: 100 }, inner)",
    );
    assert.match(nested.text ?? "", /^\[\n {2}\[Object\][\s\S]*too large to show 2 levels: console\.dir/);
    assert.equal(nested.data?.["text/html"], undefined);
  });

  it("of bytes, encodings and descriptors keeps its order", async () => {
    for (const [code, stdout] of [
      ["const e = Buffer.from('é😀'); for (const byte of e) process.stdout.write(Buffer.of(byte))", "é😀"],
      ["process.stdout.write('4142', 'hex'); process.stdout.write(Buffer.from('\\ufeffx'))", "AB\ufeffx"],
      ["process.stdout.write(Buffer.of(0xc3)); process.stdout.write('next')", "\ufffdnext"],
      ["process.stdout.end('end\\n', () => console.log('ended')); await new Promise(setImmediate)", "end\nended\n"],
      ["try { process.stdout.write(5 as never) } catch (e) { console.log(e.code) }", "ERR_INVALID_ARG_TYPE\n"],
      [
        "import * as fs from 'node:fs'; console.log('a'); fs.writeSync(1, 'b\\n'); console.log('c'); fs.writeFileSync(1, 'd\\n'); fs.writeSync(1, Buffer.from('__e\\n'), 2); fs.writevSync(1, [Buffer.from('f'), Buffer.from('\\n')])",
        "a\nb\nc\nd\ne\nf\n",
      ],
      [
        "process.env.NO_COLOR = '1'; console.log(1, process.stdout.getColorDepth()); delete process.env.NO_COLOR",
        "1 1\n",
      ],
      [
        "const own = console.log; console.log = (x) => own('patched', x); console.log('p'); console.log = own; void 0",
        "patched p\n",
      ],
    ] as const) {
      assert.equal((await run(`${code}; void 0`)).stdout, stdout, code);
    }
  });

  it("before an abort is not lost", async () => {
    const ran = await run("console.log('line'); process.stdout.write('last'); process.abort()");
    assert.equal(ran.stdout, "line\nlast");
    assert.equal((await run("1")).text, "1");
  });

  it("of a bundle is text, base64 or JSON as its type asks, and says what cannot be sent", async () => {
    const shown = async (bundle: string) =>
      (await run(`({ [Symbol.for('Jupyter.display')]: () => (${bundle}) })`)).data;
    assert.equal((await shown("{ 'image/png': new Uint8Array([1, 2, 3]).buffer }"))?.["image/png"], "AQID");
    assert.equal((await shown("{ 'image/svg+xml': Buffer.from('<svg/>') }"))?.["image/svg+xml"], "<svg/>");
    assert.equal((await shown("{ 'text/html': ['a', 'b'], 'text/plain': 5 }"))?.["text/html"], "ab");
    assert.deepEqual((await shown("{ 'application/json': { a: new Float32Array(2) } }"))?.["application/json"], {
      a: [0, 0],
    });
    assert.equal((await shown("{ then: (f) => f({ 'text/html': 'thenable' }) }"))?.["text/html"], "thenable");
    for (const bundle of ["{ 'application/json': 1n }", "{ 'text/html': {} }", "5"]) {
      const ran = await run(`({ [Symbol.for('Jupyter.display')]: () => (${bundle}) })`);
      assert.match(ran.stderr, /failed: TypeError: .*(?:BigInt|is a string, not|returned 5)/);
      assert.ok(ran.text);
    }
    const raw = await run("const round = {}; round.o = round; display({ 'application/json': round }, { raw: true })");
    assert.match(raw.traceback, /application\/json cannot be sent as JSON: .*circular/);
    assert.match((await run("display(1, { display_id: 5 as never })")).traceback, /display_id is a string, not 5/);
    const chart = await run("({ data: [{ y: [1n] }], layout: {} })");
    assert.deepEqual(Object.keys(chart.data ?? {}), ["text/plain"]);
    const { messages } = await run(
      "({ [Symbol.for('Jupyter.display')]: () => [{ 'text/html': 'x' }, { 'text/html': { isolated: true } }] })",
    );
    assert.deepEqual(messages.at(-1)?.content.metadata, { "text/html": { isolated: true } });
  });

  it("of blobs, elements and proxies", async () => {
    assert.equal((await run("new Blob([Uint8Array.of(1)], { type: 'image/png' })")).data?.["image/png"], "AQ==");
    assert.equal((await run("new Uint8Array(Buffer.from('GIF89a')).buffer")).data?.["image/gif"], "R0lGODlh");
    assert.equal((await run("({ outerHTML: '<b>x</b>' })")).data?.["text/html"], "<b>x</b>");
    assert.equal((await run("new Proxy({}, { get: () => () => ({}), getPrototypeOf() { throw 1 } })")).text, "{}");
    assert.equal(
      (await run("const gone = Proxy.revocable({}, {}); gone.revoke(); gone.proxy")).text,
      "<Revoked Proxy>",
    );
  });
});
