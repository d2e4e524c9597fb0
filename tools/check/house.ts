/**
 * The rules of the house that neither tsc nor Biome knows: imports go down only and never round in a circle, and
 * nothing grows past the size at which it holds two ideas. docs/ARCHITECTURE.md has the picture.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

/** Folders of src, highest first. Each may import those behind it. Files directly in src are entries: above all. */
export const ROOMS = [
  'cli',
  'daemon',
  'egress',
  'consumers',
  'boundary',
  'manifest',
  'client',
  'socket',
  'observe',
  'snapshot',
  'sources',
  'config',
  'native',
  'domain',
  'gen',
] as const;

const MAX_FILE_LINES = 350;
const MAX_FUNCTION_LINES = 80;

interface Source {
  readonly path: string;
  readonly lines: number;
  /** Paths of our own files, relative to the root. */
  readonly imports: readonly string[];
  readonly long: readonly { readonly line: number; readonly lines: number }[];
}

/** Everything in `root`/src that breaks a rule, one line each. */
export function complaints(root: string): string[] {
  const sources = globSync('src/**/*.ts', { cwd: root })
    .sort()
    .map((path) => read(root, path));
  return [
    ...sources.flatMap(upward),
    ...circles(sources),
    ...sources.filter(({ path }) => !path.startsWith('src/gen/')).flatMap(tooLong),
  ];
}

function read(root: string, path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const { program, module } = parseSync(path, text);
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap((entry) => entry.moduleRequest?.value ?? []),
    ),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => text.slice(start + 1, end - 1)),
  ];
  const lineAt = (offset: number) => text.slice(0, offset).split('\n').length;
  const long: { line: number; lines: number }[] = [];
  const measure = ({ start, end }: { start: number; end: number }) => {
    const lines = lineAt(end) - lineAt(start) + 1;
    if (lines > MAX_FUNCTION_LINES) long.push({ line: lineAt(start), lines });
  };
  new Visitor({
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    ArrowFunctionExpression: measure,
  }).visit(program);
  return {
    path,
    lines: text.trimEnd().split('\n').length,
    imports: [...new Set(specifiers.filter((name) => name.startsWith('.')))].map((name) =>
      normalize(join(dirname(path), name)),
    ),
    long,
  };
}

/** The index of a file's folder in {@link ROOMS}; -1 for an entry, undefined outside src or in an unknown folder. */
function rank(path: string): number | undefined {
  const [top, room, rest] = path.split('/');
  if (top !== 'src') return undefined;
  if (rest === undefined) return -1;
  const at = (ROOMS as readonly string[]).indexOf(room ?? '');
  return at === -1 ? undefined : at;
}

function upward({ path, imports }: Source): string[] {
  const own = rank(path);
  if (own === undefined) return [`${path}: its folder is not in ROOMS of tools/check/house.ts`];
  return imports.flatMap((target) => {
    const other = rank(target);
    if (other === undefined) return [`${path}: imports ${target}, which is outside src`];
    return other < own ? [`${path}: imports ${relative('src', target)}, which is above it`] : [];
  });
}

function circles(sources: readonly Source[]): string[] {
  const imports = new Map(sources.map((source) => [source.path, source.imports]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const at = way.indexOf(path);
    if (at !== -1) found.push(`circle: ${[...way.slice(at), path].join(' → ')}`);
    if (at !== -1 || done.has(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return found;
}

function tooLong({ path, lines, long }: Source): string[] {
  return [
    ...(lines > MAX_FILE_LINES ? [`${path}: ${lines} lines; at most ${MAX_FILE_LINES}`] : []),
    ...long.map(
      (one) => `${path}:${one.line}: a function of ${one.lines} lines; at most ${MAX_FUNCTION_LINES}`,
    ),
  ];
}
