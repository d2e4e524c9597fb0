/** Phrases that read like a translation, each with what to write instead. They are kept out of everything people read. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PHRASES: readonly (readonly [RegExp, string])[] = [
  [
    /(?:^|[.:;!?>] |["'`(]|\/\/ |\* |# )(Who(?:ever)?|Nobody|Those) (?!is |are |was |were )/,
    'name the subject',
  ],
  [/(?:^|[.!?] |["'`(]|\/\/ |\* |# )One (?:that|who|whose|which|of which)\b/, 'name the subject'],
  [
    /\b(?:is|are|was|were|be) there(?= ?(?:[.,;:)"'`]|already|twice|and|to)|$)/,
    '"exists", "is set", "duplicate"',
  ],
  [/\b(?:is|are|was|be|being) told (?:of|about)\b/, '"is logged", "is reported", "learns of"'],
  [/\ball the same\b/, '"anyway"'],
  [/\bfor ever\b/, '"forever", "without end", "never ends"'],
  [/\b(?:a|in a|without a|by the) word\b(?! of)/, '"message", "sentence"'],
  [/\bstands? in\b/, '"replaces", "is in"'],
  [/\bso many\b/, 'give the number, or "too many"'],
  [/\bmend(?:s|ed|ing)?\b/, '"fix"'],
  [/\bcould not be found out\b/, '"unknown"'],
  [/\bno more and no less\b/, 'leave it out'],
  [/\bby the kernel's word\b/, '"according to the kernel"'],
  [/\bforks? in time\b|\bas much above\b|\bin the hands of\b/, 'say it literally'],
  [/\bcan(?:not)? be had\b|\bto be had\b/, '"is available"'],
  [/\blook(?:s|ed)? at the start\b|\btakes? a look\b/, '"checks"'],
];

/** What people read: documents, and code with its messages and comments. Not what is generated, or what a machine wrote. */
const READ = /\.(md|ts|mjs|sh|proto|ya?ml|rs|go|py)$|Dockerfile$|^\.ci\//;
const NOT_READ =
  /^(src\/gen|tools\/fuzz\/corpus|tools\/bench\/results|test\/manifest\/(input|golden))\/|^tools\/check\/(words|check\.test)\.ts$/;

/** Each place in the files that git tracks below `root`, as `file:line: "phrase": advice`. */
export function translations(root: string): string[] {
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return files
    .split('\n')
    .filter((path) => READ.test(path) && !NOT_READ.test(path))
    .flatMap((path) =>
      readFileSync(join(root, path), 'utf8')
        .split('\n')
        .flatMap((line, at) =>
          PHRASES.flatMap(([phrase, advice]) => {
            const found = phrase.exec(line)?.[0].trim();
            return found === undefined ? [] : [`${path}:${at + 1}: "${found}": write ${advice}`];
          }),
        ),
    );
}
