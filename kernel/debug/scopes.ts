import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Frame } from "./execution.js";
import type { Variables } from "./variables.js";

/** The variables of a frame, in the groups that people know: its own, those of the functions around it, and the notebook's. */
export function scopesOf({ call, cellLevel }: Frame, variables: Variables): DebugProtocol.Scope[] {
  const globals: DebugProtocol.Scope = {
    name: "Globals",
    variablesReference: variables.scope({ objects: [], globals: true }, undefined),
    expensive: false,
  };
  if (call === undefined) return [globals];
  const own: string[] = [];
  const closures: string[] = [];
  let outside = false;
  for (const { type, object } of call.scopeChain) {
    if (type === "global" || object.objectId === undefined) continue;
    if (type === "closure" || type === "module" || type === "script") outside = true;
    (outside ? closures : own).push(object.objectId);
  }
  const { returnValue, this: self } = call;
  const isGlobal = self.type === "undefined" || self.description === "global" || self.className === "global";
  const extra = [
    ...(returnValue === undefined ? [] : [{ name: "(return value)", value: returnValue }]),
    ...(cellLevel || isGlobal ? [] : [{ name: "this", value: self }]),
  ];
  const scopes: DebugProtocol.Scope[] = [
    {
      name: "Locals",
      presentationHint: "locals",
      variablesReference: variables.scope({ objects: own, globals: cellLevel, extra }, call),
      expensive: false,
    },
  ];
  if (closures.length > 0)
    scopes.push({
      name: "Closure",
      variablesReference: variables.scope({ objects: closures, inner: own, globals: false }, call),
      expensive: false,
    });
  return [...scopes, globals];
}
