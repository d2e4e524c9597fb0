/** The manifests in deploy/, which are written by hand, with the prefix of labels and annotations that the sources have. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LABEL_PREFIX } from '../../src/domain/kubernetes.ts';
import { Annotation, Label } from '../../src/manifest/names.ts';

const ROOT = join(import.meta.dirname, '../..');
const NAMES = [...Object.values(Annotation), ...Object.values(Label)]
  .filter((key) => key.startsWith(LABEL_PREFIX))
  .map((key) => key.slice(LABEL_PREFIX.length));
/** A name of ours behind any prefix, also where inject notes the path of a label; an image `registry/agent:1` is none. */
const KEY = new RegExp(
  `(?<![\\w.-]|(?<!metadata/labels)/)[a-z0-9][a-z0-9.-]*/(${NAMES.join('|')})(?![\\w/.-]|:[\\w])`,
  'g',
);

export function withPrefix(text: string, prefix: string = LABEL_PREFIX): string {
  return text.replace(KEY, `${prefix}$1`);
}

/** Of the files that are generated besides, their new text. */
export function labelFiles(generated: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const files = globSync('deploy/**/*.{yaml,tpl,txt}', { cwd: ROOT }).filter(
    (file) => !file.startsWith('deploy/chart/files/'),
  );
  return new Map(
    files.map((file) => [file, withPrefix(generated.get(file) ?? readFileSync(join(ROOT, file), 'utf8'))]),
  );
}
