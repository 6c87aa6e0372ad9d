/** Prepares Node's module loader for notebooks, at the first import that needs it. */
export function prepareModules(): void {}
