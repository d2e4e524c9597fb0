/** Prints the demo, and collects broken promises. */

import type { CommandContext } from '../../src/cli/context.ts';
import { colour } from '../../src/cli/output.ts';

export class Story {
  readonly #context: CommandContext;
  readonly #broken: string[] = [];
  readonly #missing: string[] = [];
  readonly #began = performance.now();
  #steps = 0;
  #checks = 0;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  say(text: string): void {
    this.#write(`${text}\n`);
  }

  step(title: string): void {
    this.#steps += 1;
    this.#write(`\n${colour(this.#context, 'bold', `${this.#steps}. ${title}`)}\n`);
  }

  /** An observation. */
  see(text: string): void {
    this.#write(`   ${colour(this.#context, 'dim', text)}\n`);
  }

  /** A promise that must hold. */
  expect(what: string, held: boolean): void {
    this.#checks += 1;
    if (!held) this.#broken.push(what);
    this.#write(
      `   ${held ? colour(this.#context, 'green', 'ok') : colour(this.#context, 'red', 'NOT AS PROMISED')}  ${what}\n`,
    );
  }

  /** A part that this machine cannot show. */
  leftOut(what: string): void {
    this.#missing.push(what);
    this.#write(`\n   left out: ${what}\n`);
  }

  failed(error: unknown): void {
    this.#broken.push('the demo could not go on');
    this.#write(
      `\n${colour(this.#context, 'red', `the demo could not go on: ${error instanceof Error ? error.message : 'unknown error'}`)}\n`,
    );
  }

  /** Prints the result. Returns false if any promise was broken. */
  conclude(): boolean {
    const seconds = ((performance.now() - this.#began) / 1000).toFixed(1);
    const kept = this.#broken.length === 0;
    const verdict = kept
      ? colour(this.#context, 'green', `All ${this.#checks} promises were kept`)
      : colour(
          this.#context,
          'red',
          `${this.#broken.length} of ${this.#checks} promises were not kept: ${this.#broken.join('; ')}`,
        );
    this.#write(
      `\n${verdict}, in ${seconds} s.${this.#missing.length > 0 ? ` Left out: ${this.#missing.join('; ')}` : ''}\n`,
    );
    if (kept)
      this.#write('Next: README.md puts it into a pod; SECURITY.md says what it promises and what not.\n');
    return kept;
  }

  #write(text: string): void {
    this.#context.stdout.write(text);
  }
}
