/** Who may import whom. `npm run check` and `npm test` fail on a breach. */
const only = (name, from, packageName, comment) => ({
  name,
  comment,
  severity: "error",
  from: { pathNot: from },
  to: { path: `node_modules/${packageName}/` },
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "src-stands-alone",
      comment: "the library knows nothing of notebooks, sockets or the DOM",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(kernel|widgets|app)/|node_modules/(zeromq|@jupyterlab)/" },
    },
    {
      name: "kernel-stands-alone",
      comment: "the kernel is a general TypeScript kernel",
      severity: "error",
      from: { path: "^kernel/" },
      to: { path: "^(src|widgets|app)/" },
    },
    {
      name: "widgets-take-only-types",
      comment: "widgets describe values of src; they run none of its code, and get comms by injection",
      severity: "error",
      from: { path: "^widgets/" },
      to: { path: "^(src|kernel|app)/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "nobody-imports-the-app",
      comment: "app/ is where the parts are put together",
      severity: "error",
      from: { path: "^(src|kernel|widgets)/" },
      to: { path: "^app/" },
    },
    {
      name: "pure-core",
      comment: "graph, rl and optim compute; they see no engine, model, file or trainer",
      severity: "error",
      from: { path: "^src/(graph|rl|optim)/" },
      to: { path: "^src/(engine|nn|models|generation|trainers|state|data)/" },
    },
    {
      name: "nn-knows-graph-only",
      severity: "error",
      from: { path: "^src/nn/" },
      to: { path: "^src/(engine|generation|trainers|state|data)/" },
    },
    only("one-door-to-zeromq", "^kernel/wire/", "zeromq", "sockets live in kernel/wire"),
    only("one-door-to-onnxruntime", "^src/engine/", "onnxruntime-node", "the native engine lives in src/engine"),
    only("one-door-to-immer", "^src/state/", "immer", "drafts live in src/state"),
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|test)/" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default"] },
  },
};
