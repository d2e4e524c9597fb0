import { readFileSync } from 'node:fs';

/** The fields used from one line of /proc/self/mountinfo. See proc_pid_mountinfo(5). */
export interface Mount {
  /** Unique among all mounts that exist on the machine. Each belongs to exactly one mount namespace. */
  readonly id: number;
  /** `major:minor` of the file system. */
  readonly device: string;
  /** Directory in the file system that is the root of this mount: `/` unless only a part is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  /** Options of this mount, for example `ro`. */
  readonly options: readonly string[];
  readonly type: string;
  /** Options of the mounted file system. */
  readonly superOptions: readonly string[];
}

/** The mounts of this process's namespace, later ones on top of earlier ones. */
export function readMounts(): Mount[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** Skips lines that do not have the documented format. */
export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const [before, after] = line.split(' - ');
    const left = before?.split(' ') ?? [];
    const right = after?.split(' ') ?? [];
    const [id, , device, root, mountPoint, options] = left;
    const [type, , superOptions] = right;
    if (id === undefined || device === undefined || root === undefined || mountPoint === undefined) continue;
    if (options === undefined || type === undefined) continue;
    mounts.push({
      id: Number(id),
      device,
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      options: options.split(','),
      type,
      superOptions: (superOptions ?? '').split(','),
    });
  }
  return mounts;
}

/** Whether this mount is read-only. */
export function isReadOnlyMount(mount: Mount): boolean {
  return mount.options.includes('ro') || mount.superOptions.includes('ro');
}

/** Whether single keys or a part of the volume are mounted, as `subPath` does. */
export function isSubPathMount(directory: string, mounts: readonly Mount[]): boolean {
  return mounts.some(
    (mount) =>
      mount.mountPoint.startsWith(`${directory}/`) ||
      (mount.mountPoint === directory && mount.type === 'tmpfs' && mount.root.includes('/..')),
  );
}

/** The kernel escapes space, tab, newline and backslash as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
