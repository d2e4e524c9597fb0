/**
 * `serve` and all that it loads → one CommonJS file, the only form that node writes a start-up snapshot of. Run in a
 * checkout; writes dist/serve-snapshot.cjs, which deploy/image/write-snapshot.ts makes the snapshot of.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const CHECKOUT = join(import.meta.dirname, '../..');
const dist = process.argv[2] ?? join(CHECKOUT, 'dist');

/** V8 keeps a source with one character beyond Latin-1 in two bytes a character, and so does the snapshot. */
function asciiOnly(code: string): string {
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const bundle = await rolldown({
  input: join(CHECKOUT, 'src/serve-snapshot.ts'),
  platform: 'node',
  // The native part is loaded from its own file, after the start.
  external: ['koffi', 'prom-client', '@grpc/proto-loader', /^node:/],
});
const { output } = await bundle.generate({
  format: 'cjs',
  codeSplitting: false,
  // Code in a snapshot cannot use import(): what is external is required when it is wanted.
  dynamicImportInCjs: false,
  // Names stay: the stack trace of a defect must be readable.
  minify: { compress: true, mangle: false, codegen: true },
  banner: readFileSync(join(import.meta.dirname, 'built-ins.cjs'), 'utf8'),
});
await bundle.close();
mkdirSync(dist, { recursive: true });
writeFileSync(join(dist, 'serve-snapshot.cjs'), asciiOnly(output[0].code));
