/** Checks of our own edits: an edit that did something else than was meant ends in an error, not in a file. */
import { isCollection } from 'yaml';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { canonicalJson, type Data, type Path, valueAt } from './data.ts';
import { findManifests, type Manifests, type PodTemplate } from './kinds.ts';
import { removeFromModel } from './remove.ts';
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
  const after = findManifests(parseStream(file, text));
  const same =
    after.objects.length === before.objects.length &&
    after.templates.length === before.templates.length &&
    before.templates.every((template, index) => {
      const now = after.templates[index];
      const wanted = edits.get(template)?.model ?? templateData(template);
      return (
        now !== undefined &&
        canonicalJson(templateData(now)) === canonicalJson(wanted) &&
        canonicalJson(around(now)) === canonicalJson(around(template))
      );
    }) &&
    before.objects.every((object, index) => {
      const isTemplate = before.templates.some((template) => template.object === object);
      return isTemplate || canonicalJson(object.data) === canonicalJson(after.objects[index]?.data);
    });
  if (!same) throw new ConfigError([defect(file, 'reading it back')]);
}

/** The object without its pod template. */
function around(template: PodTemplate): Data {
  const relative = template.path.slice(template.object.path.length);
  if (relative.length > 0) return removeFromModel(template.object.data, [relative]);
  const { metadata: _metadata, spec: _spec, ...rest } = template.object.data;
  return rest;
}

/** Whether the list or map at a path of the template is written in block style, which has no way to be empty. */
export function isBlockAt(template: PodTemplate): (path: Path) => boolean {
  return (path) => {
    const node = template.document.node.getIn([...template.path, ...path], true);
    return isCollection(node) && !node.flow;
  };
}

export function templateData(template: PodTemplate): Data {
  return valueAt(template.document.data, template.path) as Data;
}

/** The text with its last line ended, and the way back. */
export function endedText(
  file: string,
  text: string,
): { text: string; restore: (changed: string) => string } {
  if (text.endsWith('\n')) return { text, restore: (changed) => changed };
  const eol = lineEnding(text);
  const ended = text + eol;
  const data = (content: string) =>
    canonicalJson(parseStream(file, content).documents.map((doc) => doc.data));
  // A block scalar at the very end would get a line break into its value.
  if (data(text) !== data(ended)) throw new ConfigError([defect(file, 'ending its last line')]);
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
