// What the image starts: `serve` from a bundle, compiled when the image was built. Any other command replaces this process,
// and runs from its own files without the restrictions of `serve`.
const { readFileSync } = require('node:fs');
const { wrap } = require('node:module');
const { join } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

/**
 * V8 accepts compiled code only under the flags that it was compiled with, and the code in Node's own binary was compiled with
 * none. While modules are loaded, those of our flags that count are therefore turned off. The first two took effect when the
 * context was created, and stay in effect.
 */
const FLAGS = [
  ['--disallow-code-generation-from-strings', '--no-disallow-code-generation-from-strings'],
  ['--expose-gc', '--no-expose-gc'],
  ['--no-flush-bytecode', '--flush-bytecode'],
  ['--heap-growing-percent=20', '--heap-growing-percent=0'],
];

/** Whether deploy/image/compile.ts has it run, which asks for the scripts afterwards. */
const compiling = require.main !== module;
/** What reads the configuration: run anew for each read, and garbage afterwards. */
const LET_GO = 'load-config.cjs';
/** Name of a file of the bundle → what it exports. */
const kept = new Map();
/** The same → its script. Nobody else keeps one: what ran once is garbage. */
const scripts = new Map();
let loading = false;

/** Runs `load` without these flags. */
function withoutFlags(load) {
  if (loading) return load();
  loading = true;
  for (const [, off] of FLAGS) setFlagsFromString(off);
  try {
    return load();
  } finally {
    for (const [on] of FLAGS) setFlagsFromString(on);
    loading = false;
  }
}

/** The compiled code. V8 ignores what another Node.js or architecture compiled: the start takes longer then, nothing else. */
function readCache(file) {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  }
}

/** What a file of the bundle exports. */
function requirePart(name) {
  const before = kept.get(name);
  if (before !== undefined) return before;
  const filename = join(__dirname, name);
  const cachedData = readCache(filename.replace('.cjs', '.cache'));
  const script = new Script(wrap(readFileSync(filename, 'latin1')), { filename, cachedData });
  const part = { exports: {} };
  if (compiling) scripts.set(name, script);
  if (compiling || name !== LET_GO) kept.set(name, part.exports);
  script.runInThisContext()(part.exports, requireAny, part, filename, __dirname);
  // zod keeps its state there, for other copies of itself to find.
  delete globalThis.__zod_globalConfig;
  delete globalThis.__zod_globalRegistry;
  return part.exports;
}

function requireAny(name) {
  return name.startsWith('./') ? withoutFlags(() => requirePart(name.slice(2))) : require(name);
}

Object.assign(exports, { scripts, withoutFlags });

if (process.argv[2] === 'serve') {
  requireAny('./serve.cjs');
} else {
  const { argv, env, execPath } = process;
  process.execve(execPath, [execPath, join(__dirname, 'main.js'), ...argv.slice(2)], env);
}
