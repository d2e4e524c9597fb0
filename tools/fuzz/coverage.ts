/**
 * Records which branches of the code under test an input ran, and how often.
 *
 * It adds counters to the sources while Node loads them: at the start of every function, branch of an `if`, `?:` or `&&`,
 * case, loop and catch. V8's inspector has similar data, but takes 3 ms per query, several times the cost of most inputs.
 * It also merges a block with its parent if both ran equally often, so that blocks cannot be counted. Import this file
 * before the code under test.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import MagicString from 'magic-string';
import { parseSync, Visitor } from 'oxc-parser';

/** The part of an AST node that places are taken from. */
interface Place {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Most branches: of everything that a target loads there are about a third as many. */
const MAX_BRANCHES = 65_536;
/** Name of the counters in the changed sources. */
const COUNTERS = '__branchHits';

/** Our sources, and the libraries whose branches tell inputs apart before ours do. */
const INSTRUMENTED =
  /^(src\/(?!gen\/)|node_modules\/(yaml|@grpc\/grpc-js|@bufbuild\/protobuf)\/(?!.*\/generated\/))/;

export interface Counted {
  covered: number;
  all: number;
}

export interface Coverage {
  /** Forgets what ran until now. */
  readonly reset: () => void;
  /** Notes what ran since; the number of branches, or of steps in how often one ran, that no input had before. */
  readonly takeNew: () => number;
  /** Notes those branches alone that did not run before at all, in files whose path begins with one of these; how many. */
  readonly takeNewBranches: (beginnings: readonly string[]) => number;
  /** Forgets all that ran before, as if every input were new. */
  readonly forget: () => void;
  /** Branches of the files whose path begins with one of these, and how many of them ran so far. */
  readonly count: (
    beginnings: readonly string[],
  ) => Counted & { readonly files: Readonly<Record<string, Counted>> };
}

const hits = new Uint32Array(MAX_BRANCHES);
const files: string[] = [];

/** Sources are changed from here on: those below `root` whose path from there matches. */
export function instrument(root: string, instrumented = INSTRUMENTED): Coverage {
  Object.defineProperty(globalThis, COUNTERS, { value: hits });
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (!url.startsWith('file:')) return loaded;
      const path = fileURLToPath(url);
      const file = relative(root, path);
      if (!instrumented.test(file) || !/^(module|commonjs)(-typescript)?$/.test(loaded.format ?? ''))
        return loaded;
      const source =
        loaded.source == null ? readFileSync(path, 'utf8') : Buffer.from(loaded.source as string);
      return { ...loaded, source: withCounters(file, source.toString()) };
    },
  });
  const steps = new Uint8Array(MAX_BRANCHES);
  return {
    reset: () => void hits.fill(0, 0, files.length),
    takeNew: () => {
      let found = 0;
      for (let branch = 0; branch < files.length; branch++) {
        const count = hits[branch] ?? 0;
        if (count === 0) continue;
        const step = stepOf(count);
        const before = steps[branch] ?? 0;
        if ((before & step) === 0) found += 1;
        steps[branch] = before | step;
      }
      hits.fill(0, 0, files.length);
      return found;
    },
    takeNewBranches: (beginnings) => {
      let found = 0;
      files.forEach((file, branch) => {
        const count = hits[branch] ?? 0;
        if (count === 0 || steps[branch] !== 0) return;
        if (!beginnings.some((beginning) => file.startsWith(beginning))) return;
        steps[branch] = stepOf(count);
        found += 1;
      });
      return found;
    },
    forget: () => void steps.fill(0),
    count: (beginnings) => {
      const total = { covered: 0, all: 0, files: {} as Record<string, Counted> };
      files.forEach((file, branch) => {
        if (!beginnings.some((beginning) => file.startsWith(beginning))) return;
        total.files[file] ??= { covered: 0, all: 0 };
        for (const counted of [total, total.files[file]]) {
          counted.all += 1;
          if (steps[branch] !== 0) counted.covered += 1;
        }
      });
      return total;
    },
  };
}

/** One bit for each of: once, twice, up to 4, 8, 16, 64, 512, and more. */
function stepOf(count: number): number {
  const step = [1, 2, 4, 8, 16, 64, 512].findIndex((limit) => count <= limit);
  return 1 << (step < 0 ? 7 : step);
}

/** The source with a counter in each branch. Exported for its test. */
export function withCounters(file: string, source: string): string {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0]?.message}`);
  const text = new MagicString(source);
  const counter = () => {
    if (files.push(file) > MAX_BRANCHES) throw new Error('more branches than there are counters');
    return `${COUNTERS}[${files.length - 1}]++`;
  };
  const statement = (node: Place | null | undefined) => {
    if (node == null) return;
    if (node.type === 'BlockStatement' || node.type === 'FunctionBody')
      text.appendRight(node.start + 1, `${counter()};`);
    else text.appendRight(node.start, `{${counter()};`).prependLeft(node.end, '}');
  };
  const expression = (node: Place) => {
    text.appendRight(node.start, `(${counter()},(`).prependLeft(node.end, '))');
  };
  const loop = ({ body }: { readonly body: Place }) => statement(body);
  const callable = ({ body }: { readonly body: Place | null }) => statement(body);
  new Visitor({
    FunctionDeclaration: callable,
    FunctionExpression: callable,
    ArrowFunctionExpression: (node) => {
      if (node.body.type === 'BlockStatement') statement(node.body);
      else expression(node.body);
    },
    IfStatement: (node) => {
      statement(node.consequent);
      statement(node.alternate);
    },
    ConditionalExpression: (node) => {
      expression(node.consequent);
      expression(node.alternate);
    },
    LogicalExpression: (node) => expression(node.right),
    SwitchCase: (node) => {
      const [first] = node.consequent;
      if (first !== undefined) text.appendRight(first.start, `${counter()};`);
    },
    CatchClause: loop,
    ForStatement: loop,
    ForInStatement: loop,
    ForOfStatement: loop,
    WhileStatement: loop,
    DoWhileStatement: loop,
  }).visit(program);
  return text.toString();
}
