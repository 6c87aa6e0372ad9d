/** The comms that are open between the session and its clients, by id. */
export class CommRegistry {
  readonly #targets = new Map<string, string>();

  /** Notes a comm message that passed by, in either direction. */
  note(type: string, content: { readonly comm_id?: unknown; readonly target_name?: unknown }): void {
    const { comm_id: id, target_name: target } = content;
    if (typeof id !== "string") return;
    if (type === "comm_open" && typeof target === "string") this.#targets.set(id, target);
    else if (type === "comm_close") this.#targets.delete(id);
  }

  has(id: string): boolean {
    return this.#targets.has(id);
  }

  /** The open comms, of one target or of all, as comm_info_reply has them. */
  info(target: string | undefined): Record<string, { target_name: string }> {
    const entries = [...this.#targets].filter(([, name]) => target === undefined || name === target);
    return Object.fromEntries(entries.map(([id, name]) => [id, { target_name: name }]));
  }

  /** Forgets all comms and returns their ids. */
  clear(): string[] {
    const ids = [...this.#targets.keys()];
    this.#targets.clear();
    return ids;
  }
}
