import { expect, it } from 'vitest';
import { renderTable } from '../../src/boundary/report.ts';
import { plainTable } from '../../src/cli/output.ts';
import { printable } from '../../src/domain/printable.ts';
import { textReport } from '../../src/manifest/report.ts';

const HOSTILE = 'a\x1b]0;owned\x07\r\x1b[2Jb\u202ec\u2028d\u200be\x9bf';
const SHOWN = 'a\\x1b]0;owned\\x07\\x0d\\x1b[2Jb\\u{202e}c\\u{2028}d\\u{200b}e\\x9bf';

it('escapes what drives a terminal or hides text, and leaves the rest', () => {
  expect(printable(HOSTILE)).toBe(SHOWN);
  expect(printable('Grüße, 你好 × → 🙂')).toBe('Grüße, 你好 × → 🙂');
});

it('is applied in every table', () => {
  const finding = {
    id: 'x',
    severity: 'enforce',
    outcome: 'fail',
    evidence: HOSTILE,
    remedy: HOSTILE,
  } as const;
  const report = {
    version: '1',
    checkedAtMs: 0,
    sandbox: { id: 'i', name: 'n', namespace: 's' },
    state: 'broken',
    findings: [finding],
  } as const;
  const lint = {
    rule: 'x',
    severity: 'error',
    object: HOSTILE,
    file: HOSTILE,
    line: 1,
    column: 1,
    path: HOSTILE,
    message: HOSTILE,
    why: '',
    remedy: '',
  } as const;
  const tables = [
    renderTable(report, { colour: false, all: true }),
    plainTable(['name', 'key'], [[HOSTILE, `\x1b[32m${HOSTILE}\x1b[39m`]]).replaceAll(/\x1b\[\d+m/g, ''),
    textReport({ findings: [lint], checked: [HOSTILE], passed: [], errors: [] }, false),
  ];
  for (const table of tables) {
    expect(table).toContain(SHOWN);
    expect(table.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u);
  }
});
