import type { Header, Message } from "../wire/messages.js";
import type { Outgoing } from "../wire/sockets.js";

/** How often a question is put to a client whose stdin socket is not there (yet), and milliseconds between. */
const attempts = 10;
const pause = 100;

interface Question {
  id: string;
  readonly identity: string;
  readonly request: string;
  answer(value: string): void;
  withdraw(why: string): void;
}

/**
 * Questions to the person at the front end: each goes to the client whose cell asks, to nobody else, and an answer is
 * matched by the question it names, or, from clients that name none, goes to the oldest of their questions.
 */
export class Questions {
  readonly #asked: Question[] = [];

  /** @param send calls `lost` when the client has no stdin socket. */
  constructor(private readonly send: (identities: readonly Buffer[], outgoing: Outgoing, lost: () => void) => Header) {}

  /** Resolves with the answer. Rejects when the request that asks ends first, or when its client does not listen. */
  ask(identities: readonly Buffer[], prompt: string, password: boolean, parent: Header): Promise<string> {
    return new Promise((answer, reject) => {
      const withdraw = (why: string) => reject(new Error(why));
      const question = { id: "", identity: nameOf(identities), request: parent.msg_id, answer, withdraw };
      this.#asked.push(question);
      const outgoing = { type: "input_request", content: { prompt, password }, parent };
      const put = (left: number) => {
        if (!this.#asked.includes(question)) return;
        const lost = () => {
          if (left > 1) setTimeout(put, pause, left - 1);
          else this.#forget(question, "the client that runs the cell does not listen on the stdin channel");
        };
        question.id = this.send(identities, outgoing, lost).msg_id;
      };
      put(attempts);
    });
  }

  /** Takes an input_reply; one that answers nothing is ignored. */
  answer(message: Message): void {
    const { value } = message.content;
    const own = (question: Question) => question.identity === nameOf(message.identities);
    const named = this.#asked.findIndex((question) => question.id === message.parent?.msg_id && own(question));
    // Who names another question answers one that has been answered or withdrawn.
    const other = message.parent?.msg_type === "input_request";
    const at = named >= 0 || other ? named : this.#asked.findIndex(own);
    if (at < 0) return;
    const [question] = this.#asked.splice(at, 1);
    question?.answer(typeof value === "string" ? value : String(value ?? ""));
  }

  /** Forgets what a request asked and will no longer wait for. */
  withdraw(request: string): void {
    for (const question of this.#asked.filter((each) => each.request === request))
      this.#forget(question, "the cell ended before its question was answered");
  }

  #forget(question: Question, why: string): void {
    const at = this.#asked.indexOf(question);
    if (at < 0) return;
    this.#asked.splice(at, 1);
    question.withdraw(why);
  }
}

/** Frames behind a client's own identity are its business: it may send others with each message. */
function nameOf([identity]: readonly Buffer[]): string {
  return identity?.toString("hex") ?? "";
}
