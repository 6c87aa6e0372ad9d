/** The signal of the running notebook cell, where a kernel provides one. */
function ambientSignal(): AbortSignal | undefined {
  const signal: unknown = Reflect.get(globalThis, Symbol.for("Jupyter.abortSignal"));
  return signal instanceof AbortSignal ? signal : undefined;
}

/** The signal that a call listens to: the one it was given, the running cell's, or both. Never undefined. */
export function signalOf(given: AbortSignal | undefined): AbortSignal {
  const signals = [given, ambientSignal()].filter((signal) => signal !== undefined);
  const signal = signals.length === 1 ? signals[0] : AbortSignal.any(signals);
  return signal ?? new AbortController().signal;
}
