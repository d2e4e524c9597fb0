/**
 * The end of every test run: looks for each secret that the suite generated in everything that the suite's
 * processes printed or left behind: logs, audit lines, errors, metrics, help, crash output, cores. A secret is
 * looked for as it is, in Base64 at all three alignments, in hexadecimal and percent-encoded.
 *
 *   leak-search.ts    exit 0 where nothing is found, 1 where something is, or where there was nothing to search
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

// The run that ended last, unless told otherwise; secrets.ts takes its folders from there.
process.env.TEST_RUN_DIRECTORY ??= readFileSync(join(process.cwd(), '.test-run', 'latest'), 'utf8');
const { ARTIFACTS, LEDGER, RUN_DIRECTORY } = await import('./secrets.ts');

/** Shorter secrets than this, in bytes, stand in any text by chance. */
const SHORTEST = 8;

/** Every form of a secret that is looked for. */
function forms(secret: Buffer): Buffer[] {
  const base64 = [0, 1, 2].map((shift) => {
    // What comes before shifts the alphabet; the first and last characters depend on the neighbours.
    const text = Buffer.concat([Buffer.alloc(shift), secret])
      .toString('base64')
      .replace(/=+$/, '');
    return text.slice(shift === 0 ? 0 : shift + 1, text.length - (text.length % 4 === 0 ? 0 : 1));
  });
  const hex = secret.toString('hex');
  const percent = [...secret].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  return [
    secret,
    ...base64.map((text) => Buffer.from(text)),
    ...base64.map((text) => Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_'))),
    Buffer.from(hex),
    Buffer.from(hex.toUpperCase()),
    Buffer.from(percent),
    Buffer.from(percent.toUpperCase()),
  ];
}

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return files(path);
    return entry.isFile() ? [path] : [];
  });
}

/** Places where a secret stands, as `file: form number`: never what stands there. */
function search(content: Buffer, secrets: readonly Buffer[][]): number[] {
  return secrets.flatMap((each, index) => (each.some((form) => content.includes(form)) ? [index] : []));
}

if (!existsSync(LEDGER)) {
  console.error('leak search: the run wrote no secret down; it cannot have tested anything');
  process.exit(1);
}
const secrets = [...new Set(readFileSync(LEDGER, 'utf8').split('\n').filter(Boolean))]
  .map((line) => Buffer.from(line, 'base64'))
  .filter((secret) => secret.byteLength >= SHORTEST);

// The search itself, on trial: a planted secret is found in each form.
const planted = randomBytes(18);
for (const form of forms(planted)) {
  if (search(Buffer.concat([randomBytes(7), form, randomBytes(5)]), [forms(planted)]).length !== 1) {
    console.error('leak search: it does not find what was planted');
    process.exit(1);
  }
}

const wanted = secrets.map(forms);
const searched = files(ARTIFACTS);
let bytes = 0;
let found = 0;
for (const file of searched) {
  const size = statSync(file).size;
  bytes += size;
  for (const index of search(readFileSync(file), wanted)) {
    found += 1;
    console.error(`leak search: secret number ${index + 1} stands in ${relative(RUN_DIRECTORY, file)}`);
  }
}
if (searched.length === 0) {
  console.error('leak search: no output was kept; there was nothing to search');
  process.exit(1);
}
console.log(
  `leak search: ${secrets.length} secrets in ${forms(planted).length} forms, ${searched.length} files, ${(bytes / 1024 / 1024).toFixed(1)} MiB: ${found} found`,
);
process.exitCode = found === 0 ? 0 : 1;
