import { randomUUID } from "node:crypto";
import type { Comm, CommMessage, Comms } from "../../widgets/models.js";

/** A message as a kernel would have sent it. */
export interface Sent {
  readonly kind: "comm_open" | "comm_msg" | "comm_close";
  readonly id: string;
  readonly target?: string;
  readonly data: Record<string, unknown>;
  readonly metadata?: object | undefined;
  readonly buffers: readonly ArrayBufferView[];
}

/** Comms that keep what is sent and let a test play the front end. */
export function fakeComms(): Comms & {
  readonly sent: Sent[];
  /** A front end's message to a comm that the kernel opened. */
  receive(id: string, data: unknown): void;
  close(id: string): void;
  /** A comm that the front end opens; returns its id. */
  openFromFront(target: string): string;
} {
  const sent: Sent[] = [];
  const onMessage = new Map<string, ((message: CommMessage) => void)[]>();
  const onClose = new Map<string, ((message: CommMessage) => void)[]>();
  const targets = new Map<string, (comm: Comm, open: CommMessage) => void>();
  const make = (id: string): Comm => ({
    id,
    send: (data, { metadata, buffers = [] } = {}) => {
      sent.push({ kind: "comm_msg", id, data: data as Record<string, unknown>, metadata, buffers });
    },
    close: (data = {}) => {
      sent.push({ kind: "comm_close", id, data: data as Record<string, unknown>, buffers: [] });
    },
    onMessage: (listener) => void onMessage.set(id, [...(onMessage.get(id) ?? []), listener]),
    onClose: (listener) => void onClose.set(id, [...(onClose.get(id) ?? []), listener]),
  });
  return {
    sent,
    open(target, data, { metadata, buffers = [] }) {
      const id = randomUUID();
      sent.push({ kind: "comm_open", id, target, data: data as Record<string, unknown>, metadata, buffers });
      return make(id);
    },
    register: (target, opened) => void targets.set(target, opened),
    receive: (id, data) => {
      for (const listener of onMessage.get(id) ?? []) listener({ data });
    },
    close: (id) => {
      for (const listener of onClose.get(id) ?? []) listener({ data: {} });
    },
    openFromFront(target) {
      const id = randomUUID();
      targets.get(target)?.(make(id), { data: {} });
      return id;
    },
  };
}
