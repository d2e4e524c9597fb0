/**
 * `serve` and all that it loads → dist/serve.cjs, and what reads its configuration → dist/load-config.cjs;
 * dist/start.cjs starts it. Run in a checkout. The node that will run it then compiles it: deploy/image/compile.ts.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const CHECKOUT = join(import.meta.dirname, '../..');
const dist = process.argv[2] ?? join(CHECKOUT, 'dist');

/** V8 keeps a source with one character beyond Latin-1 in two bytes a character. */
function asciiOnly(code: string): string {
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** From package.json when the image is built: the bundle lies at another depth than the source. */
const version = {
  name: 'version',
  load: (id: string) => {
    if (!id.endsWith('/src/domain/version.ts')) return undefined;
    const manifest = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string };
    return `export const VERSION = ${JSON.stringify(manifest.version)};`;
  },
};

const bundle = await rolldown({
  input: join(CHECKOUT, 'src/serve-bundle.ts'),
  platform: 'node',
  // The native part is a file of its own. Attacks are never made by what serves.
  external: ['koffi', /^node:/, /\/attacks\/(?!types)/],
  plugins: [version],
});
const { output } = await bundle.generate({
  format: 'cjs',
  entryFileNames: 'serve.cjs',
  // What is imported by `import()` is a file of its own.
  chunkFileNames: '[name].cjs',
  // A script that starts from compiled code has no import().
  dynamicImportInCjs: false,
  // Names of functions stay: the stack trace of a defect must be readable.
  minify: {
    compress: true,
    mangle: { toplevel: false, keepNames: { function: true, class: true } },
    codegen: true,
  },
});
await bundle.close();
mkdirSync(dist, { recursive: true });
for (const file of output) {
  if (file.type === 'chunk') writeFileSync(join(dist, file.fileName), asciiOnly(file.code));
}
copyFileSync(join(import.meta.dirname, 'start.cjs'), join(dist, 'start.cjs'));
