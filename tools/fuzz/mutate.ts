/** Inputs out of inputs. Nothing here knows what an input means: each target reads its own meaning out of bytes. */
import type { Random } from './random.ts';

export interface Material {
  readonly words: readonly Buffer[];
  /** Another input of the corpus. */
  readonly other: () => Buffer;
  readonly maxBytes: number;
}

type Mutation = (input: Buffer, random: Random, material: Material) => Buffer;

/** Bytes and numbers at which programs change their minds. */
const EDGES = [0, 1, 9, 10, 13, 32, 34, 37, 0x2f, 0x5c, 0x7f, 0x80, 0xc0, 0xe2, 0xff];
const NUMBERS = [
  '0',
  '-1',
  '1',
  '65534',
  '65535',
  '65536',
  '4294967295',
  '1e999',
  '.inf',
  '0x41',
  '9'.repeat(30),
];
/** Most times that a piece is repeated: enough for what grows faster than its input to be seen. */
const MAX_REPEATS = 4_096;

const splice = (input: Buffer, from: number, to: number, piece: Buffer): Buffer =>
  Buffer.concat([input.subarray(0, from), piece, input.subarray(to)]);

/** A random piece of an input, short ones more often. */
function piece(input: Buffer, random: Random): readonly [from: number, to: number] {
  const from = random.below(input.byteLength + 1);
  const length = random.below(2) === 0 ? random.below(9) : random.below(input.byteLength - from + 1);
  return [from, Math.min(input.byteLength, from + length)];
}

const MUTATIONS: readonly Mutation[] = [
  (input, random) => {
    const changed = Buffer.from(input);
    const at = random.below(changed.byteLength);
    if (changed.byteLength > 0) changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
    return changed;
  },
  (input, random) => {
    const changed = Buffer.from(input);
    const byte = random.below(2) === 0 ? random.pick(EDGES) : random.below(256);
    if (changed.byteLength > 0) changed[random.below(changed.byteLength)] = byte ?? 0;
    return changed;
  },
  (input, random) => {
    const changed = Buffer.from(input);
    const at = random.below(changed.byteLength);
    if (changed.byteLength > 0) changed[at] = (changed[at] ?? 0) + random.below(35) - 17;
    return changed;
  },
  (input, random) => splice(input, ...piece(input, random), Buffer.alloc(0)),
  (input, random) => {
    const at = random.below(input.byteLength + 1);
    return splice(
      input,
      at,
      at,
      Buffer.from(Array.from({ length: 1 + random.below(6) }, () => random.below(256))),
    );
  },
  (input, random, { words }) => {
    const at = random.below(input.byteLength + 1);
    return splice(input, at, at, random.pick(words) ?? Buffer.alloc(0));
  },
  (input, random, { words }) => splice(input, ...piece(input, random), random.pick(words) ?? Buffer.alloc(0)),
  (input, random) => {
    const at = random.below(input.byteLength + 1);
    return splice(input, at, at, input.subarray(...piece(input, random)));
  },
  (input, random) => splice(input, ...piece(input, random), input.subarray(...piece(input, random))),
  (input, random, { other }) => {
    const from = other();
    return splice(input, ...piece(input, random), from.subarray(...piece(from, random)));
  },
  (input, random, { other }) => {
    const from = other();
    return Buffer.concat([
      input.subarray(0, random.below(input.byteLength + 1)),
      from.subarray(random.below(from.byteLength + 1)),
    ]);
  },
  (input, random) => {
    const numbers = [...input.toString('latin1').matchAll(/-?\d+/g)];
    const found = random.pick(numbers);
    if (found === undefined) return input;
    return splice(
      input,
      found.index,
      found.index + found[0].length,
      Buffer.from(random.pick(NUMBERS) ?? '0'),
    );
  },
  (input, random, { words, maxBytes }) => {
    const [from, to] = piece(input, random);
    const unit = random.below(2) === 0 ? input.subarray(from, to) : (random.pick(words) ?? Buffer.alloc(0));
    const most = Math.floor((maxBytes - input.byteLength) / Math.max(1, unit.byteLength));
    const times = Math.min(most, 1 << random.below(13), MAX_REPEATS);
    return times < 1 ? input : splice(input, to, to, Buffer.concat(Array(times).fill(unit)));
  },
];

/** Few mutations at once most of the time. The last, which makes inputs long and slow, is kept rare. */
export function mutate(input: Buffer, random: Random, material: Material): Buffer {
  let changed = input;
  for (let left = 1 + (random.below(3) === 0 ? random.below(8) : random.below(3)); left > 0; left--) {
    const choices = random.below(8) === 0 ? MUTATIONS.length : MUTATIONS.length - 1;
    const mutation = MUTATIONS[random.below(choices)];
    if (mutation !== undefined) changed = mutation(changed, random, material);
  }
  return changed.subarray(0, material.maxBytes);
}
