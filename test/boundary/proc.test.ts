import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { capabilityNames, parseIdMap, parseStatus, parseTaskFlags } from '../../src/boundary/facts/proc.ts';

describe('parseStatus', () => {
  it('reads this process as the process knows itself', () => {
    const status = parseStatus(readFileSync('/proc/self/status', 'utf8'));
    expect(status?.uids[0]).toBe(process.getuid?.());
    expect(status?.gids[0]).toBe(process.getgid?.());
    expect(status?.parent).toBe(process.ppid);
    expect(status?.zombie).toBe(false);
    expect(status?.threads).toBeGreaterThan(1);
  });

  it.each(['', 'Name:\tx\n', 'Uid:\t1\t2\n'])('takes %j for a process that is gone', (text) => {
    expect(parseStatus(text)).toBeUndefined();
  });

  it('takes control characters out of a name', () => {
    const text = 'Name:\t\x1b[31mroot\nUid:\t1\t1\t1\t1\nCapEff:\t0\n';
    expect(parseStatus(text)?.name).toBe('\\x1b[31mroot');
  });
});

describe('parseStatus of a task that a signal waits for', () => {
  it.each([
    ['0000000000000000', false],
    ['0000000000000100', true],
    ['0000000080000180', true],
    ['ffffffff00000000', false],
  ])('%s: killed %s', (mask, killed) => {
    const text = `Name:\tx\nUid:\t1\t1\t1\t1\nCapEff:\t0\nSigPnd:\t${mask}\n`;
    expect(parseStatus(text)?.killed).toBe(killed);
  });
});

describe('parseTaskFlags', () => {
  it('reads them behind a name that looks like fields', () => {
    expect(parseTaskFlags('7 (a) S 1 1 1 1 1 4 (b) Z 1 7 7 0 -1 4194308 0 0')).toBe(4_194_308);
  });

  it.each(['', '7 (a) Z 1'])('takes %j for a task without any', (text) => {
    expect(parseTaskFlags(text)).toBe(0);
  });
});

describe('capabilityNames', () => {
  it.each([
    ['0000000000000000', []],
    ['0000000000080004', ['DAC_READ_SEARCH', 'SYS_PTRACE']],
    ['8000000000000000', ['CAP_63']],
  ])('%s', (mask, names) => {
    expect(capabilityNames(mask)).toEqual(names);
  });
});

describe('parseIdMap', () => {
  it('reads the lines of a map, and none from an empty one', () => {
    expect(parseIdMap('         0       1000          1\n')).toEqual([
      { inside: 0, outside: 1000, count: 1 },
    ]);
    expect(parseIdMap('')).toEqual([]);
  });
});
