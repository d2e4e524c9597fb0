// What the image starts: `serve` from one file, compiled when the image was built. Any other command replaces this process,
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

/** Runs `load` without these flags. */
function withoutFlags(load) {
  for (const [, off] of FLAGS) setFlagsFromString(off);
  const result = load();
  for (const [on] of FLAGS) setFlagsFromString(on);
  return result;
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

/** Loads and starts `serve`. Returns its script. */
function start() {
  const filename = join(__dirname, 'serve.cjs');
  const source = wrap(readFileSync(filename, 'latin1'));
  const script = new Script(source, { filename, cachedData: readCache(join(__dirname, 'serve.cache')) });
  script.runInThisContext()(exports, require, module, filename, __dirname);
  return script;
}

if (process.argv[2] === 'serve') {
  const script = withoutFlags(start);
  // For deploy/image/compile.ts and the tests.
  Object.assign(exports, { script, withoutFlags });
} else {
  const { argv, env, execPath } = process;
  process.execve(execPath, [execPath, join(__dirname, 'main.js'), ...argv.slice(2)], env);
}
