/** A cause can concern ten thousand keys of a Secret: the log shows some of them, and counts the rest. */
import type { Logger } from './log.ts';

/** Lines of one cause. Enough to see what kind of thing happened; the audit has a record of each. */
const MAX_LINES = 20;

interface Rest {
  readonly level: 'info' | 'warn';
  readonly message: string;
  readonly reason: string | undefined;
  count: number;
}

export class FewLines {
  readonly #log: Logger;
  #lines = 0;
  readonly #rest = new Map<string, Rest>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** One more of what the cause did. `reason` is what the rest is counted by, beside the message. */
  add(level: 'info' | 'warn', facts: object, message: string, reason?: string): void {
    if (this.#lines < MAX_LINES) {
      this.#lines += 1;
      this.#log[level](facts, message);
      return;
    }
    const id = JSON.stringify([message, reason]);
    const rest = this.#rest.get(id) ?? { level, message, reason, count: 0 };
    rest.count += 1;
    this.#rest.set(id, rest);
  }

  /** That was all: one line for the rest, with how many there are of each. */
  end(): void {
    if (this.#rest.size === 0) return;
    const rest = [...this.#rest.values()];
    const more = rest.map(({ message, reason, count }) => ({ what: message, reason, count }));
    this.#log[rest.some(({ level }) => level === 'warn') ? 'warn' : 'info'](
      { more },
      'further lines of the same kind are left out; the audit names every credential',
    );
  }
}
