/** Checks of our own edits: an edit that did something else than was meant ends in an error, not in a file. */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { put } from './additions.ts';
import type { Data } from './data.ts';
import { findManifests, type Manifests, type PodTemplate } from './kinds.ts';
import { parseStream, wholeFile } from './stream.ts';
import { lineEnding, type Splice } from './text.ts';

/** How the text of a pod template changes, and what it reads as from then on. */
export interface Edit {
  readonly splices: readonly Splice[];
  readonly model: Data;
}

/** The text must read as the models say, and as before everywhere else. */
export function verify(
  file: string,
  text: string,
  before: Manifests,
  edits: ReadonlyMap<PodTemplate, Edit>,
): void {
  const wanted = before.objects.map((object) => {
    const [template, edit] = [...edits].find(([each]) => each.object === object) ?? [];
    return template === undefined
      ? object.data
      : put(object.data, template.path.slice(object.path.length), edit?.model);
  });
  const found = findManifests(parseStream(file, text)).objects.map(({ data }) => data);
  if (!isDeepStrictEqual(found, wanted)) throw new ConfigError([defect(file, 'reading it back')]);
}

/** The text with its last line ended, and the way back. */
export function endedText(
  file: string,
  text: string,
): { text: string; restore: (changed: string) => string } {
  if (text.endsWith('\n')) return { text, restore: (changed) => changed };
  const eol = lineEnding(text);
  const ended = text + eol;
  const data = (content: string) => parseStream(file, content).documents.map((document) => document.data);
  // A block scalar at the very end would get a line break into its value.
  if (!isDeepStrictEqual(data(text), data(ended)))
    throw new ConfigError([defect(file, 'ending its last line')]);
  return { text: ended, restore: (changed) => changed.slice(0, -eol.length) };
}

/** Reached by syntax that we do not edit well: nothing is written, and the file can be put in plainer words. */
export function defect(file: string, step: string): ConfigIssue {
  return wholeFile(
    file,
    `cannot be edited in place: ${step} gave something else than was meant`,
    'end the file with a newline, write the pod template in plain block style, and try again',
  );
}
