import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConfigFiles, readUnchanged } from '../../src/config/files.ts';
import { ConfigError } from '../../src/domain/errors.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'msr-files-'));
  file = join(folder, 'config.yaml');
  writeFileSync(file, 'wrong');
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(files: ConfigFiles): string {
  const text = files.readText(file);
  if (text !== 'right')
    throw new ConfigError([{ file, line: 1, column: 1, field: '', message: 'is wrong', hint: '' }]);
  return text;
}

describe('files that are read again', () => {
  it('are judged once they do not change any more, also where a mixture of two was wrong', () => {
    let tries = 0;
    const { loaded, files } = readUnchanged((reading) => {
      tries += 1;
      try {
        return load(reading);
      } finally {
        writeFileSync(file, 'right');
      }
    });
    expect({ loaded, tries }).toEqual({ loaded: 'right', tries: 2 });
    expect(files.changed()).toBe(false);
  });

  it('are wrong where they stay so, and nothing where they always change', () => {
    const { loaded } = readUnchanged(load);
    expect(loaded).toBeInstanceOf(ConfigError);
    const { loaded: none, files } = readUnchanged((reading) => {
      reading.readText(file);
      writeFileSync(file, `${readFileSync(file, 'utf8')}x`);
      return 'mixed';
    });
    expect(none).toBeUndefined();
    expect(files.changed()).toBe(true);
  });

  it('do not hide a defect', () => {
    expect(() =>
      readUnchanged(() => {
        throw new Error('a defect');
      }),
    ).toThrow('a defect');
  });
});
