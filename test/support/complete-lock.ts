/**
 * Adds to package-lock.json the optional packages for other platforms that `npm install` left out because the
 * registry it asked did not have them. Without them `npm ci` refuses the whole file as out of step with
 * package.json, on every platform. They get a version and a platform, and no integrity, for nobody here could
 * compute one: they are never installed on Linux with glibc, where this package runs.
 *
 * Run it after each `npm install`: `npm run lock`.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface Entry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const FILE = 'package-lock.json';
const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = ['arm64', 'arm', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

const lock = JSON.parse(readFileSync(FILE, 'utf8')) as { packages: Record<string, Entry> };
const packages = { ...lock.packages };
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (!isLocked(path, name)) packages[`node_modules/${name}`] = platformEntry(name, version, entry);
  }
}
// The order that npm itself writes.
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en')));
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);

/** Whether node would find `name` from the package at `path`: there, or in a folder above. */
function isLocked(path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    if (Object.hasOwn(lock.packages, `${folder === '' ? '' : `${folder}/`}node_modules/${name}`)) return true;
    if (folder === '') return false;
  }
}

/** The platform is in the package's name; an entry without one would be installed everywhere. */
function platformEntry(name: string, version: string, parent: Entry): object {
  const words = name.split(/[-/]/);
  const os = SYSTEMS.find((system) => words.includes(system));
  const cpu = PROCESSORS.find((processor) => words.some((word) => word.startsWith(processor)));
  if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
    throw new Error(`${FILE}: ${name}@${version} is missing, and its platform cannot be read from its name`);
  }
  const libc = /musl/.test(name) ? ['musl'] : /gnu/.test(name) ? ['glibc'] : undefined;
  return {
    version,
    cpu: [cpu],
    ...(parent.dev ? { dev: true } : {}),
    ...(libc === undefined ? {} : { libc }),
    optional: true,
    os: [os],
  };
}
