/**
 * Counts the opens of a file as the kernel reports them (inotify IN_OPEN). This proves more than "the content was not
 * returned": the file was not even opened.
 */
import { closeSync, readSync } from 'node:fs';
import koffi from 'koffi';

const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;
const IN_OPEN = 0x20;
/** Bytes of `struct inotify_event` before its name. */
const EVENT_BYTES = 16;

const libc = koffi.load(null);
const inotifyInit = libc.func('int inotify_init1(int flags)') as (flags: number) => number;
const inotifyAddWatch = libc.func('int inotify_add_watch(int fd, const char *path, uint32_t mask)') as (
  fd: number,
  path: string,
  mask: number,
) => number;

export class OpenWitness implements Disposable {
  readonly #fd: number;
  #opens = 0;

  /** Watches files, FIFOs or folders; of a folder its entries too. */
  constructor(...paths: readonly string[]) {
    this.#fd = inotifyInit(IN_NONBLOCK | IN_CLOEXEC);
    if (this.#fd < 0) throw new Error('inotify_init1 failed');
    for (const path of paths) {
      if (inotifyAddWatch(this.#fd, path, IN_OPEN) < 0) throw new Error(`inotify_add_watch failed: ${path}`);
    }
  }

  /** Opens so far. The kernel merges equal events that nobody read between, so this is "at least". */
  get opens(): number {
    const buffer = Buffer.alloc(64 * 1024);
    for (;;) {
      let length: number;
      try {
        length = readSync(this.#fd, buffer);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return this.#opens;
        throw error;
      }
      for (let at = 0; at < length; at += EVENT_BYTES + buffer.readUInt32LE(at + 12)) this.#opens += 1;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
