/**
 * The numbers that src/native hands to the kernel, against the headers of Debian's linux-libc-dev. asm-generic/unistd.h is
 * arm64's own table on every machine; x64's is on x64 only.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SYSTEM_CALLS } from '../../src/native/attacks.ts';
import { describeIf } from '../support/root.ts';

const NATIVE = join(import.meta.dirname, '../../src/native');
const INCLUDE = '/usr/include';
const UNISTD = {
  arm64: 'asm-generic/unistd.h',
  x64: 'x86_64-linux-gnu/asm/unistd_64.h',
} as const;
/** Of these files x64 and arm64 need the same numbers; arm64's own headers include those of asm-generic. */
const SHARED = [
  'asm-generic/socket.h',
  'asm-generic/errno-base.h',
  'asm-generic/errno.h',
  'asm-generic/poll.h',
  'asm-generic/resource.h',
  'asm-generic/signal.h',
  'linux/fcntl.h',
  'linux/fs.h',
  'linux/mount.h',
  'linux/prctl.h',
  'linux/ptrace.h',
  'linux/sched.h',
];
/** Prefixes of names that are in those files. Names of libc, such as AF_UNIX, are not: they are the same on x64 and arm64. */
const OF_KERNEL = /^(AT|CLONE|E[A-Z]+$|MS|POLL|PR|PTRACE|RENAME|RLIMIT|SIG|SO_|SOL)/;
/** Debian 12's headers are older than this option. */
const NEWER_THAN_HEADERS = ['SO_PEERPIDFD'];

const read = (header: string) => readFileSync(join(INCLUDE, header), 'utf8');

/** `12`, `0x12`, `012`, `0o12`, `-12` and `(1 << 1)`, whatever stands behind. */
function numberOf(text: string): number | undefined {
  const shift = /^\(1 << (\d+)\)/.exec(text);
  if (shift !== null) return 1 << Number(shift[1]);
  const [word = ''] = /^-?[0-9][0-9a-fxo_]*/i.exec(text.replace(/^\((.*)\)$/, '$1')) ?? [];
  const digits = word.replaceAll('_', '').replace(/^0(?=[0-7])/, '0o');
  return digits === '' ? undefined : digits.startsWith('-') ? -Number(digits.slice(1)) : Number(digits);
}

function defines(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, name = '', value = ''] of text.matchAll(/^\s*#\s*define\s+(\w+)[ \t]+(.+?)\s*$/gm)) {
    const number = numberOf(value);
    if (number !== undefined) found.set(name, number);
  }
  return found;
}

const missing = existsSync(join(INCLUDE, UNISTD.arm64)) ? undefined : 'install linux-libc-dev';

describeIf('src/native', missing, () => {
  it.each(process.arch === 'x64' ? (['arm64', 'x64'] as const) : (['arm64'] as const))(
    'makes the system calls by the numbers of %s',
    (arch) => {
      const numbers = defines(read(UNISTD[arch]));
      expect(Object.keys(SYSTEM_CALLS[arch])).toEqual(['renameat2', 'pidfd_open', 'pidfd_getfd']);
      for (const [name, number] of Object.entries(SYSTEM_CALLS[arch]))
        expect([name, numbers.get(`__NR_${name}`)]).toEqual([name, number]);
    },
  );

  it('gives each constant that is named as in the kernel its value, too', () => {
    const known = defines(SHARED.map(read).join('\n'));
    const ours = readdirSync(NATIVE).flatMap((file) =>
      [...readFileSync(join(NATIVE, file), 'utf8').matchAll(/^(?:export )?const ([A-Z_0-9]+) = ([^;]+);/gm)]
        .map(([, name = '', value = '']) => ({ name, value: numberOf(value) }))
        .filter(({ name }) => OF_KERNEL.test(name)),
    );
    expect(ours.length).toBeGreaterThan(20);
    const differing = ours
      .filter(({ name }) => known.has(name) || !NEWER_THAN_HEADERS.includes(name))
      .filter(({ name, value }) => value === undefined || known.get(name) !== value);
    expect(differing).toEqual([]);
  });
});
