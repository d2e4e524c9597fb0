/** Where audit records go: one JSON object a line, on stdout or appended to a file. */
import { pino } from 'pino';
import type { Logger } from '../log.ts';

/** Bytes of records that may wait for a reader that does not read; beyond that records are dropped and counted. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

export interface AuditSink extends Disposable {
  write(record: Record<string, unknown>): void;
}

/**
 * Opens the stream. Records are handed to the kernel without waiting for it, so that a full pipe cannot stop
 * the service; what is still waiting at the end is written before the process exits.
 */
export function openAuditSink(path: string | undefined, log: Logger): AuditSink {
  const stream = pino.destination({
    dest: path ?? 1,
    sync: false,
    append: true,
    mode: 0o600,
    maxLength: MAX_WAITING_BYTES,
  });
  let dropped = 0;
  stream.on('drop', () => {
    dropped += 1;
    // Powers of two: the log learns of it at once and is not flooded in turn.
    if ((dropped & (dropped - 1)) === 0)
      log.error({ dropped }, 'audit records were dropped: nobody reads the stream');
  });
  stream.on('error', (error: Error) => log.error({ err: error }, 'the audit stream cannot be written'));
  return {
    write: (record) => {
      stream.write(`${JSON.stringify(record)}\n`);
    },
    [Symbol.dispose]: () => {
      try {
        stream.flushSync();
      } catch (error) {
        log.error({ err: error }, 'the last audit records could not be written');
      }
    },
  };
}
