/**
 * Node writes into a start-up snapshot the compiled code of every module of its own, 4.4 MB, which the process keeps
 * in memory for as long as it lives. Nearly all of it is of no use to `serve`: it is code of modules that are never
 * loaded, or that the snapshot already holds. This keeps the code of those that are loaded after the start.
 *
 * The list is the last part of the file, as Node 26 writes it: how many there are, then for each its name and its
 * code, both with their length in front; all numbers have eight bytes, the lowest first. A file in which it is not
 * found to the byte is left as it is: the process then takes more memory, and nothing else changes. A module without
 * compiled code is compiled when it is loaded.
 */

/** Bytes of a number. */
const NUMBER = 8;
/** Node has about 440 modules of its own, and its longest name has 50 characters. */
const MAX_MODULES = 2_000;
const MAX_NAME = 128;
const NAME = /^[A-Za-z_][\w./-]*$/;

interface Code {
  readonly name: string;
  /** Where its entry begins and ends. */
  readonly from: number;
  readonly to: number;
}

/** The snapshot without the code of modules that are not `wanted`; undefined where the list is not as expected. */
export function keepCodeOf(snapshot: Buffer, wanted: ReadonlySet<string>): Buffer | undefined {
  for (let from = 0; from + NUMBER < snapshot.length; from++) {
    const list = listAt(snapshot, from);
    if (list === undefined) continue;
    const kept = list.filter(({ name }) => wanted.has(name));
    // None at all: these are other names than ours, whatever the list is.
    if (kept.length === 0) return undefined;
    const count = Buffer.alloc(NUMBER);
    count.writeBigUInt64LE(BigInt(kept.length));
    return Buffer.concat([
      snapshot.subarray(0, from),
      count,
      ...kept.map((code) => snapshot.subarray(code.from, code.to)),
    ]);
  }
  return undefined;
}

/** The list that begins at `from` and ends with the file, if one does. */
function listAt(snapshot: Buffer, from: number): Code[] | undefined {
  const count = numberAt(snapshot, from, MAX_MODULES);
  if (count === undefined || count < 2) return undefined;
  const list: Code[] = [];
  let at = from + NUMBER;
  while (list.length < count) {
    const nameLength = numberAt(snapshot, at, MAX_NAME);
    if (nameLength === undefined) return undefined;
    const name = snapshot.toString('latin1', at + NUMBER, at + NUMBER + nameLength);
    const codeLength = numberAt(snapshot, at + NUMBER + nameLength, snapshot.length);
    if (!NAME.test(name) || codeLength === undefined) return undefined;
    const to = at + NUMBER + nameLength + NUMBER + codeLength;
    list.push({ name, from: at, to });
    at = to;
  }
  return at === snapshot.length ? list : undefined;
}

function numberAt(snapshot: Buffer, at: number, most: number): number | undefined {
  if (at + NUMBER > snapshot.length || snapshot.readUInt32LE(at + 4) !== 0) return undefined;
  const number = snapshot.readUInt32LE(at);
  return number <= most ? number : undefined;
}
