/**
 * The mounts of another process, and what they say: whether it is in our container, and whether one of our
 * volumes is mounted there, too.
 *
 * Anybody who may make a user namespace may make a mount namespace in it, with 100,000 mounts at paths of
 * 4 KiB. So a table is read in slices, up to a cap. What a cap leaves out:
 *
 * - In a user namespace below ours that does not contain our UID, a process reaches with its own mounts only
 *   what it reached before, and the mounts that its container had are copied into the new table. The rest of
 *   such a table is passed over, and a bomb neither stops us nor costs more than its share. Accepted weakness:
 *   where our Secret has been mounted for a container by mistake, and every process of it has moved behind a
 *   bomb of its own, we do not see the mistake; `lint` and the admission policy do.
 * - Everybody else needed a capability over our own namespace to make that many mounts, so it is not the agent:
 *   that table counts as not read, and the checks fail closed.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { throwShortage } from '../../domain/errors.ts';
import { isReadOnlyMount, type Mount, parseMountinfo } from '../../domain/mountinfo.ts';
import { isWithin } from '../../manifest/pod.ts';
import { taskFolders } from './ending.ts';
import { type MountFacts, mountOf } from './facts-mounts.ts';

/** Most bytes of one table: some 5,000 mounts. */
const MAX_BYTES = 1024 * 1024;
/** The same for a table in a user namespace of the process's own making. */
const MAX_BYTES_BELOW = 256 * 1024;
/** Most bytes of all tables of that kind in one round. */
const MAX_BYTES_BELOW_IN_ALL = 4 * 1024 * 1024;
/** Size of the buffer. The kernel fills at most a page a read, or one line where that is longer. */
const SLICE_BYTES = 64 * 1024;
/** Lines parsed before the event loop may have its turn. */
const SLICE_LINES = 200;

export interface MountView {
  /** `unreadable`: the kernel shows the mounts of none of its threads. */
  readonly container: 'ours' | 'other' | 'unreadable';
  /** Whether mounts may be missing below because the table is longer than we read. */
  readonly mountsCut: boolean;
  /** Where another container has one of our Secret volumes mounted. */
  readonly secretMounts: readonly string[];
  /** Where another container has the socket's volume mounted writable. */
  readonly socketMounts: readonly string[];
}

export const NO_MOUNTS: MountView = {
  container: 'other',
  mountsCut: false,
  secretMounts: [],
  socketMounts: [],
};

/** Looks at the tables of one round. `breathe` gives the event loop its turn when it is time. */
export class ForeignMounts {
  /** Ids of the mounts of our own container. */
  readonly #ownMounts: ReadonlySet<number>;
  /** Only a tmpfs of its own has a device of its own: another kind could be the node's disk, which all share. */
  readonly #secretDevices: ReadonlySet<string>;
  readonly #socketMount: Mount | undefined;
  readonly #breathe: () => Promise<void>;
  readonly #slice = Buffer.allocUnsafe(SLICE_BYTES);
  /** By hash of the text: containers have few mount tables and many processes, and a text may be long. */
  readonly #judged = new Map<string, MountView>();
  #leftBelow = MAX_BYTES_BELOW_IN_ALL;

  constructor({ all, secrets }: MountFacts, socketFolder: string, breathe: () => Promise<void>) {
    this.#ownMounts = new Set(all.map(({ id }) => id));
    this.#secretDevices = new Set(
      secrets.flatMap(({ mount }) => (mount?.type === 'tmpfs' ? [mount.device] : [])),
    );
    this.#socketMount = mountOf(socketFolder, all);
    this.#breathe = breathe;
  }

  /** `below`: the process is in a user namespace that lies below ours and does not contain our UID. */
  async view(folder: string, below: boolean): Promise<MountView> {
    const cap = below ? Math.min(MAX_BYTES_BELOW, this.#leftBelow) : MAX_BYTES;
    if (cap === 0) return NO_MOUNTS;
    const table = await this.#readAny(folder, cap);
    if (table === undefined) return { ...NO_MOUNTS, container: 'unreadable' };
    const { text, cut } = table;
    if (below) this.#leftBelow -= Math.min(text.length, this.#leftBelow);
    const key = createHash('sha256').update(text).digest('base64');
    const view = this.#judged.get(key) ?? (await this.#judge(text.toString('utf8')));
    this.#judged.set(key, view);
    return cut && !below ? { ...view, mountsCut: true } : view;
  }

  /** A leader that has ended shows no mounts while its other threads go on with them. */
  async #readAny(folder: string, cap: number): Promise<{ text: Buffer; cut: boolean } | undefined> {
    const table = await this.#read(`${folder}/mountinfo`, cap);
    if (table !== undefined) return table;
    for (const task of taskFolders(folder)) {
      await this.#breathe();
      const own = await this.#read(`${task}/mountinfo`, cap);
      if (own !== undefined) return own;
    }
    return undefined;
  }

  async #read(path: string, cap: number): Promise<{ text: Buffer; cut: boolean } | undefined> {
    const parts: Buffer[] = [];
    let size = 0;
    let fd: number | undefined;
    try {
      fd = openSync(path, 'r');
      while (size <= cap) {
        const count = readSync(fd, this.#slice);
        if (count === 0) return { text: Buffer.concat(parts), cut: false };
        parts.push(Buffer.from(this.#slice.subarray(0, count)));
        size += count;
        await this.#breathe();
      }
    } catch (error) {
      throwShortage(error);
      return undefined;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
    const text = Buffer.concat(parts).subarray(0, cap);
    // The last line is not whole.
    return { text: text.subarray(0, text.lastIndexOf('\n') + 1), cut: true };
  }

  async #judge(text: string): Promise<MountView> {
    const secretMounts: string[] = [];
    const socketMounts: string[] = [];
    const lines = text.split('\n');
    for (let at = 0; at < lines.length; at += SLICE_LINES) {
      const mounts = parseMountinfo(lines.slice(at, at + SLICE_LINES).join('\n'));
      if (mounts.some((mount) => this.#ownMounts.has(mount.id))) return { ...NO_MOUNTS, container: 'ours' };
      for (const mount of mounts) {
        if (this.#secretDevices.has(mount.device)) secretMounts.push(mount.mountPoint);
        if (leadsTo(mount, this.#socketMount) && !isReadOnlyMount(mount)) socketMounts.push(mount.mountPoint);
      }
      await this.#breathe();
    }
    return { ...NO_MOUNTS, secretMounts, socketMounts };
  }
}

/** Whether the other mount shows the same folder of the same file system, or one above it. */
function leadsTo(mount: Mount, ours: Mount | undefined): boolean {
  return mount.device === ours?.device && isWithin(ours.root, mount.root);
}
