/** Writes a Secret volume like kubelet's atomic writer, for the demo and for tests. */
import { randomInt } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Key → content. */
export type SecretData = Readonly<Record<string, string | Uint8Array>>;

export class SecretVolume {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    chmodSync(directory, 0o755);
  }

  /**
   * One rotation, in kubelet's order: write aside, swing `..data`, make new links, remove stale ones, remove the
   * old directory last. `plant` may put into the new directory what kubelet never would, before it is in force.
   */
  write(data: SecretData, mode = 0o444, plant: (generation: string) => void = () => {}): string {
    const { directory } = this;
    const old = this.#target();
    const name = `..${new Date().toISOString().slice(0, 19).replaceAll(/[-T:]/g, '_')}.${randomInt(1, 2 ** 32)}`;
    mkdirSync(join(directory, name), { mode: 0o755 });
    for (const [key, value] of Object.entries(data)) {
      mkdirSync(dirname(join(directory, name, key)), { recursive: true });
      writeFileSync(join(directory, name, key), value);
      chmodSync(join(directory, name, key), mode);
    }
    plant(join(directory, name));
    symlinkSync(name, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    const visible = new Set(Object.keys(data).map((key) => key.split('/')[0] ?? key));
    for (const key of visible) {
      if (lstatSync(join(directory, key), { throwIfNoEntry: false }) === undefined)
        symlinkSync(join('..data', key), join(directory, key));
    }
    for (const entry of readdirSync(directory)) {
      if (!entry.startsWith('..') && !visible.has(entry)) rmSync(join(directory, entry));
    }
    if (old !== undefined) rmSync(join(directory, old), { recursive: true, force: true });
    return name;
  }

  /** Leaves an empty folder, as kubelet does when an optional Secret is deleted. */
  vanish(): void {
    for (const entry of readdirSync(this.directory))
      rmSync(join(this.directory, entry), { recursive: true, force: true });
  }

  #target(): string | undefined {
    const link = join(this.directory, '..data');
    return lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true
      ? readlinkSync(link)
      : undefined;
  }
}
