import type { Header, Message } from "../wire/messages.js";
import type { Outgoing } from "../wire/sockets.js";

interface Question {
  readonly id: string;
  readonly identity: string;
  readonly request: string;
  answer(value: string): void;
  withdraw(): void;
}

/**
 * Questions to the person at the front end: each goes to the client whose cell asks, to nobody else, and an answer is
 * matched by the question it names, or, from clients that name none, by who sends it.
 */
export class Questions {
  readonly #asked: Question[] = [];

  constructor(private readonly send: (identities: readonly Buffer[], outgoing: Outgoing) => Header) {}

  /** Resolves with the answer. Rejects when the request that asks ends first. */
  ask(identities: readonly Buffer[], prompt: string, password: boolean, parent: Header): Promise<string> {
    return new Promise((answer, reject) => {
      const outgoing = { type: "input_request", content: { prompt, password }, parent };
      const { msg_id } = this.send(identities, outgoing);
      const withdraw = () => reject(new Error("the cell ended before its question was answered"));
      this.#asked.push({ id: msg_id, identity: nameOf(identities), request: parent.msg_id, answer, withdraw });
    });
  }

  /** Takes an input_reply; one that answers nothing is ignored. */
  answer(message: Message): void {
    const { value } = message.content;
    const own = (question: Question) => question.identity === nameOf(message.identities);
    const named = this.#asked.findIndex((question) => question.id === message.parent?.msg_id && own(question));
    const at = named >= 0 ? named : this.#asked.findLastIndex(own);
    if (at < 0) return;
    const [question] = this.#asked.splice(at, 1);
    question?.answer(typeof value === "string" ? value : String(value ?? ""));
  }

  /** Forgets what a request asked and will no longer wait for. */
  withdraw(request: string): void {
    for (let at = this.#asked.length - 1; at >= 0; at--) {
      if (this.#asked[at]?.request === request) this.#asked.splice(at, 1)[0]?.withdraw();
    }
  }
}

function nameOf(identities: readonly Buffer[]): string {
  return identities.map((identity) => identity.toString("hex")).join(" ");
}
