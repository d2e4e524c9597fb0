/** The real logger, kept in memory for assertions and written below the artifacts for the leak search. */
import { appendFileSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Logger } from '../../src/observe/log.ts';
import { ARTIFACTS } from './secrets.ts';

export class MemoryLog {
  readonly log: Logger;
  readonly lines: Record<string, unknown>[] = [];

  constructor() {
    const file = join(mkdtempSync(join(ARTIFACTS, 'log-')), 'log');
    this.log = pino(
      { level: 'debug', base: null },
      {
        write: (line: string) => {
          appendFileSync(file, line);
          this.lines.push(JSON.parse(line) as Record<string, unknown>);
        },
      },
    );
  }

  /** Lines with this message. */
  with(message: string): Record<string, unknown>[] {
    return this.lines.filter(({ msg }) => msg === message);
  }
}
