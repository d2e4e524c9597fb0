/**
 * Work that waits until what was written in this turn of the event loop has left the process: HTTP/2 sends at the
 * turn's end, and writing an audit record must delay neither a value nor its withdrawal.
 */
export class AfterSending {
  #waiting: (() => void)[] = [];

  readonly add = (work: () => void): void => {
    if (this.#waiting.push(work) === 1) setImmediate(() => this.catchUp());
  };

  /** Does it now, for a process that is about to end. */
  catchUp(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const work of waiting) work();
  }
}
