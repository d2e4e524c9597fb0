import { expect, it } from 'vitest';
import type { Coverage } from './coverage.ts';
import { smallestCorpus } from './engine.ts';

/** Each letter of an input is a branch: capitals are ours, small ones a library's. */
class Letters implements Coverage {
  readonly #known = new Set<string>();
  #ran: readonly string[] = [];

  run(input: Buffer): void {
    this.#ran = [...input.toString()];
  }
  reset(): void {
    this.#ran = [];
  }
  takeNew(): number {
    return this.#note(this.#ran.map((letter, index) => `${letter}${index}`));
  }
  takeNewBranches(): number {
    return this.#note(this.#ran.filter((letter) => /[A-Z]/.test(letter)));
  }
  forget(): void {
    this.#known.clear();
  }
  count(): ReturnType<Coverage['count']> {
    throw new Error('nobody asks');
  }
  #note(steps: readonly string[]): number {
    const found = steps.filter((step) => !this.#known.has(step));
    for (const step of found) this.#known.add(step);
    return found.length;
  }
}

async function kept(inputs: readonly string[], limit: { files: number; bytes: number }): Promise<string[]> {
  const letters = new Letters();
  const opened = {
    run: (input: Buffer) => {
      if (input.includes('!')) throw new Error('a finding');
      letters.run(input);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const given = inputs.map((input) => Buffer.from(input));
  const corpus = await smallestCorpus({ covers: [] }, opened, letters, given, limit);
  return corpus.map(String);
}

it('a corpus has room for our branches before it has any for a library, short inputs first', async () => {
  const inputs = ['AAAB', 'x', 'y', 'A', 'xyz', 'A'];
  expect(await kept(inputs, { files: 2, bytes: 100 })).toEqual(['A', 'AAAB']);
  expect(await kept(inputs, { files: 3, bytes: 100 })).toEqual(['A', 'AAAB', 'x']);
  expect(await kept(inputs, { files: 9, bytes: 6 })).toEqual(['A', 'AAAB', 'x']);
  expect(await kept(inputs, { files: 9, bytes: 100 })).toEqual(['A', 'AAAB', 'x', 'y', 'xyz']);
});

it('what is a finding does not go into a corpus', async () => {
  expect(await kept(['A!', 'A'], { files: 9, bytes: 100 })).toEqual(['A']);
});
