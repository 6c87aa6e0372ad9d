import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { offlineWidgets } from "../../widgets/export.js";
import { hostOf } from "../../widgets/models.js";
import { canPresent, present, presentStatic } from "../../widgets/present.js";
import { packRun, panelsOf, type Run } from "../../widgets/run.js";
import { savedState } from "../helpers/browser.js";
import { fakeComms } from "../helpers/comms.js";
import { inventRun, inventStages } from "../helpers/episodes.js";

const stages = inventStages();
const idOf = (bundle: Record<string, unknown>) =>
  (bundle["application/vnd.jupyter.widget-view+json"] as { model_id: string }).model_id;

test("a model opens exactly as anywidget's front end expects it", () => {
  const comms = fakeComms();
  const model = hostOf(comms).open({
    name: "Probe",
    esm: "export default {}",
    css: ".probe {}",
    state: { plain: { a: 1 }, numbers: Float32Array.of(1, 2) },
  });
  assert.deepEqual(comms.sent, [
    {
      kind: "comm_open",
      id: model.id,
      target: "jupyter.widget",
      metadata: { version: "2.1.0" },
      data: {
        state: {
          _model_module: "anywidget",
          _model_name: "AnyModel",
          _model_module_version: "0",
          _view_module: "anywidget",
          _view_name: "AnyView",
          _view_module_version: "0",
          _view_count: null,
          _anywidget_id: "policyscope.Probe",
          _esm: "export default {}",
          _css: ".probe {}",
          plain: { a: 1 },
        },
        buffer_paths: [["numbers"]],
      },
      buffers: [Float32Array.of(1, 2)],
    },
  ]);
});

test("request_state is answered, changes are echoed, and only keys of the view that pass their check are taken", () => {
  const comms = fakeComms();
  const model = hostOf(comms).open({
    name: "Probe",
    esm: "",
    css: "",
    state: { choice: 1, numbers: Float32Array.of(3) },
    viewKeys: { choice: (value) => typeof value === "number" },
  });
  comms.sent.length = 0;
  comms.receive(model.id, { method: "update", state: { choice: 5, numbers: "gone", _esm: "evil" }, buffer_paths: [] });
  assert.deepEqual(comms.sent.pop(), {
    kind: "comm_msg",
    id: model.id,
    metadata: { version: "2.1.0" },
    data: { method: "echo_update", state: { choice: 5 }, buffer_paths: [] },
    buffers: [],
  });
  comms.receive(model.id, { method: "update", state: { choice: "no" }, buffer_paths: [] });
  assert.equal(comms.sent.length, 0);
  comms.receive(model.id, { method: "request_state" });
  const answer = comms.sent.pop();
  assert.equal(answer?.data.method, "update");
  assert.deepEqual(answer?.data.buffer_paths, [["numbers"]]);
  assert.equal((answer?.data.state as { choice: number } | undefined)?.choice, 5);
  assert.deepEqual(answer?.buffers, [Float32Array.of(3)]);
  for (const junk of [null, 3, {}, { method: "update" }, { method: "update", state: null }, { method: "custom" }])
    comms.receive(model.id, junk);
});

test("the control comm gives a reloaded page every open model with its buffers, and closed ones not", () => {
  const comms = fakeComms();
  const bundle = present(stages.scored, comms);
  const closing = hostOf(comms).open({ name: "Probe", esm: "", css: "", state: {} });
  closing.close();
  const control = comms.openFromFront("jupyter.widget.control");
  comms.sent.length = 0;
  comms.receive(control, { method: "request_states" });
  const [answer] = comms.sent;
  assert.equal(answer?.id, control);
  assert.deepEqual(answer?.metadata, { version: "1.0.0" });
  assert.equal(answer?.data.method, "update_states");
  const states = answer?.data.states as Record<string, { model_name: string; state: Record<string, unknown> }>;
  assert.deepEqual(Object.keys(states), [idOf(bundle)]);
  const model = states[idOf(bundle)];
  assert.equal(model?.model_name, "AnyModel");
  assert.ok(!("channels" in (model?.state ?? {})));
  const paths = answer?.data.buffer_paths as string[][];
  assert.deepEqual(
    paths,
    ["offsets", "pieces", "mask", "scores", "channels"].map((key) => [idOf(bundle), "state", key]),
  );
  assert.equal(answer?.buffers.length, paths.length);
});

test("a value has one model however often it is shown, a new one after its model was closed, and twins beside it", () => {
  const comms = fakeComms();
  const first = present(stages.rollout, comms);
  assert.deepEqual(Object.keys(first), ["application/vnd.jupyter.widget-view+json", "text/html", "text/plain"]);
  assert.equal(idOf(present(stages.rollout, comms)), idOf(first));
  assert.equal(comms.sent.filter(({ kind }) => kind === "comm_open").length, 1);
  comms.close(idOf(first));
  assert.notEqual(idOf(present(stages.rollout, comms)), idOf(first));
  assert.throws(() => present({} as never, comms), TypeError);
  assert.equal(canPresent({ stage: "other" }), false);
});

test("alternatives are asked of the callback with episode and position, and its failure is told", async () => {
  const comms = fakeComms();
  const asked: number[][] = [];
  const id = idOf(
    present(stages.scored, comms, {
      alternatives: (_, episode, position) => {
        asked.push([episode, position]);
        if (position === 1) throw new Error("the model is gone");
        return [{ id: 1, text: " great", probability: 0.6 }];
      },
    }),
  );
  comms.sent.length = 0;
  const second = stages.rollout.tokens[0]?.length ?? 0;
  comms.receive(id, { method: "custom", content: { type: "alternatives", token: second + 3 } });
  comms.receive(id, { method: "custom", content: { type: "alternatives", token: 1 } });
  for (const token of [-1, 1e9, 0.5, "1"])
    comms.receive(id, { method: "custom", content: { type: "alternatives", token } });
  await sleep(5);
  assert.deepEqual(asked, [
    [1, 3],
    [0, 1],
  ]);
  assert.deepEqual(
    comms.sent.map(({ data }) => data),
    [
      {
        method: "custom",
        content: {
          type: "alternatives",
          token: second + 3,
          alternatives: [{ id: 1, text: " great", probability: 0.6 }],
        },
      },
      { method: "custom", content: { type: "alternatives", token: 1, error: "the model is gone" } },
    ],
  );
});

test("a growing run is sent at most every 100 ms, its last state always; Stop reaches the loop; plotly comes when asked for", async () => {
  const comms = fakeComms();
  const steps = inventRun(0);
  let changed = () => {};
  let stopped = 0;
  let running = true;
  const run: Run = {
    entries: steps,
    get running() {
      return running;
    },
    subscribe: (listener) => {
      changed = listener;
      return () => {
        changed = () => {};
      };
    },
    stop: () => {
      stopped++;
    },
  };
  const id = idOf(present(run, comms));
  comms.sent.length = 0;
  const all = inventRun(50);
  for (const step of all) {
    steps.push(step);
    changed();
    await sleep(5);
  }
  running = false;
  changed();
  await sleep(250);
  const updates = comms.sent.filter(({ data }) => data.method === "update");
  assert.ok(updates.length >= 3 && updates.length <= 10, `${updates.length} updates`);
  const last = updates.at(-1);
  assert.deepEqual(last?.data.buffer_paths, [["steps"], ["series"]]);
  assert.equal((last?.buffers[0] as Int32Array | undefined)?.length, 50);
  assert.equal((last?.data.state as { run: { running: boolean } } | undefined)?.run.running, false);
  comms.receive(id, { method: "custom", content: { type: "stop" } });
  assert.equal(stopped, 1);
  comms.sent.length = 0;
  comms.receive(id, { method: "custom", content: { type: "asset", name: "plotly-basic" } });
  comms.receive(id, { method: "custom", content: { type: "asset", name: "../../package.json" } });
  assert.equal(comms.sent.length, 1);
  assert.ok((comms.sent[0]?.buffers[0]?.byteLength ?? 0) > 1e6);
  comms.close(id);
  comms.sent.length = 0;
  changed();
  assert.equal(comms.sent.length, 0);
});

test("a run's metrics become rows; a metric that is missing in a step is NaN there", () => {
  const { run, steps, series } = packRun({
    entries: [
      { step: 4, stats: { a: 1, list: [1, 2] } },
      { step: 5, stats: { b: 2 } },
    ],
  });
  assert.deepEqual(run.names, ["a", "b"]);
  assert.deepEqual([...steps], [4, 5]);
  assert.deepEqual([...series], [1, Number.NaN, Number.NaN, 2]);
  assert.deepEqual(
    panelsOf(Object.keys(inventRun(1)[0]?.stats ?? {}))
      .map(({ title }) => title)
      .slice(0, 5),
    ["Score", "KL from the reference", "Losses", "Clip fraction", "Entropy"],
  );
  assert.equal(panelsOf(["anything"])[0]?.title, "anything");
});

test("twins show every token, escaped, survive a sanitiser that drops styles, and end", () => {
  const nasty = inventStages([
    {
      prompt: "<script>alert(1)</script>",
      tokens: ["<img src=x onerror=alert(1)>", "\u001b[2J", " ok", "\n", "<!--"],
      score: 1,
    },
    { prompt: "b", tokens: [" fine"], score: -1, cut: true },
  ]);
  for (const value of Object.values(nasty)) {
    const bundle = presentStatic(value);
    const html = String(bundle["text/html"]);
    const tags = [...html.matchAll(/<\/?([a-z0-9]+)/gi)].map(([, name]) => name);
    for (const tag of tags)
      assert.ok(["div", "b", "i", "br", "span", "table", "tr", "th", "td"].includes(tag ?? ""), tag);
    assert.ok(html.includes("&#60;img src=x onerror=alert(1)&#62;"));
    assert.ok(html.includes("[cut]") && html.includes("[eos]"));
    const text = String(bundle["text/plain"]);
    assert.ok(text.includes("␛[2J"));
    // biome-ignore lint/complexity/useRegexLiterals: the escape would be a control character
    assert.doesNotMatch(text.replace(new RegExp("\u001b\\[[0-9;]*m", "g"), ""), /\u001b/);
  }
  const plain = String(presentStatic(stages.scored)["text/html"]).replace(/ style="[^"]*"/g, "");
  assert.match(plain, /strongest KL/);
  assert.match(plain, /␣great 1\.22|␣great \d/);
  const dash = presentStatic({ entries: inventRun(20) });
  assert.match(String(dash["text/html"]), /<td>19<\/td>/);
  assert.match(String(dash["text/plain"]), /[▁-█]/);
  assert.match(String(presentStatic({ entries: [] })["text/plain"]), /No training step yet/);
});

test("an exported page carries each view once, no closing tag of ours inside, and plotly only for a dashboard", () => {
  const comms = fakeComms();
  const nasty = inventStages([
    { prompt: "</script><script>alert(1)</script>", tokens: ["</script>", "<!--"], score: 0 },
  ]);
  present(nasty.rollout, comms);
  present(nasty.scored, comms);
  const state = savedState(comms.sent);
  const page = offlineWidgets(state);
  assert.equal(page.head.match(/<\/script>/g)?.length, 2);
  assert.equal(page.head.match(/<script/g)?.length, 2);
  assert.equal(page.head.includes("plotly"), false);
  const json = JSON.parse(page.head.slice(page.head.indexOf(">") + 1, page.head.indexOf("</script>"))) as {
    modules: string[];
    models: object;
  };
  assert.equal(json.modules.length, 1);
  assert.equal(Object.keys(json.models).length, 2);
  assert.equal(page.element("unknown", ""), undefined);
  assert.match(page.element(Object.keys(json.models)[0] ?? "", "twin") ?? "", /twin/);
  assert.equal(offlineWidgets(undefined).head, "");
  present({ entries: inventRun(2) }, comms);
  assert.ok(offlineWidgets(savedState(comms.sent)).head.length > 1e6);
  assert.ok(offlineWidgets(savedState(comms.sent), { plotly: false }).head.length < 5e5);
});
