/**
 * Runs after every test run: searches everything that the suite's processes printed or left behind (logs, audit lines,
 * errors, metrics, help, crash output, cores) for each secret that the suite generated. It searches for the raw bytes,
 * Base64 at all three alignments, hexadecimal and percent-encoding.
 *
 *   leak-search.ts    exits with 0 if nothing is found, with 1 if something is found or there was nothing to search
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { forms, SecretSearch, WINDOW } from './secret-search.ts';

// The run that ended last, unless told otherwise; secrets.ts takes its folders from there.
process.env.TEST_RUN_DIRECTORY ??= readFileSync(join(process.cwd(), '.test-run', 'latest'), 'utf8');
const { ARTIFACTS, LEDGER, RUN_DIRECTORY } = await import('./secrets.ts');

/** Length in bytes below which a secret could be in any text by chance. */
const SHORTEST = WINDOW;

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return files(path);
    return entry.isFile() ? [path] : [];
  });
}

if (!existsSync(LEDGER)) {
  console.error('leak search: the run recorded no secret, so it cannot have tested anything');
  process.exit(1);
}
const secrets = [...new Set(readFileSync(LEDGER, 'utf8').split('\n').filter(Boolean))]
  .map((line) => Buffer.from(line, 'base64'))
  .filter((secret) => secret.byteLength >= SHORTEST);

// Tests the search itself: it must find a planted secret in each form.
const planted = randomBytes(18);
const trial = new SecretSearch([forms(planted)]);
for (const form of forms(planted)) {
  const places = [[form], [randomBytes(7), form, randomBytes(5)], [randomBytes(9), form]];
  if (places.some((place) => trial.in(Buffer.concat(place)).length !== 1)) {
    console.error('leak search: the search does not find a planted secret');
    process.exit(1);
  }
}

const search = new SecretSearch(secrets.map(forms));
const searched = files(ARTIFACTS);
let bytes = 0;
let found = 0;
for (const file of searched) {
  const size = statSync(file).size;
  bytes += size;
  for (const index of search.in(readFileSync(file))) {
    found += 1;
    console.error(`leak search: secret number ${index + 1} was found in ${relative(RUN_DIRECTORY, file)}`);
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
