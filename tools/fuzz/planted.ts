/**
 * A secret among fuzz bytes. Inputs contain a marker of the same length instead, so that the corpus holds no secret and
 * mutations can move it anywhere.
 */
import { newSecret } from '../../test/support/secrets.ts';
import { must } from './target.ts';

/** The marker for the secret in an input. */
export const SECRET_WORD = 'q0SECRETq0SECRETq0SECRETq0SECRETq0SE';
/** Characters of a piece that counts as repeated: no word of ours is hexadecimal for so long. */
const PIECE = 12;

export class Planted {
  readonly secret = newSecret('tst');
  readonly #pieces: readonly string[];

  constructor() {
    const [, hex = ''] = this.secret.split('-');
    this.#pieces = Array.from({ length: hex.length / 4 - 2 }, (_, part) =>
      hex.slice(part * 4, part * 4 + PIECE),
    );
    if (this.secret.length !== SECRET_WORD.length) throw new Error('the word must be as long as the secret');
  }

  /** The input with the secret in it. */
  into(input: Buffer): Buffer {
    if (!input.includes(SECRET_WORD)) return input;
    return Buffer.from(input.toString('latin1').replaceAll(SECRET_WORD, this.secret), 'latin1');
  }

  /** Fails where a text holds the secret or a piece of it. */
  notIn(text: string, what: string): void {
    must(!this.#pieces.some((piece) => text.includes(piece)), `${what} repeats a secret`);
  }
}
