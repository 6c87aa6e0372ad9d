import { readFileSync } from "node:fs";

/** An exported value of a declaration file, with the words before it. */
const exported = /((?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?)export declare (?:const|function) (\w+)/g;

/**
 * What a cell sees beside Node's own globals, as the checker is told: every value that a declaration file exports, under its
 * name and with its documentation.
 */
export function globalsFrom(declarationFile: string): string {
  const module = JSON.stringify(declarationFile.replace(/\.d\.ts$/, ".js"));
  return [...readFileSync(declarationFile, "utf8").matchAll(exported)]
    .map(([, words, name]) => `${words}declare const ${name}: typeof import(${module}).${name};\n`)
    .join("");
}

/** The names of these values. */
export function kernelNames(declarationFile: string): string[] {
  return [...readFileSync(declarationFile, "utf8").matchAll(exported)].map(([, , name]) => name ?? "");
}
