/** Every generated document by its path, except for what buf and the schemas make. */
import { scaleFiles } from '../scale/page.ts';
import { commandFiles } from './commands.ts';
import { configurationFiles } from './configuration.ts';
import { controlFiles } from './controls.ts';
import { labelFiles } from './labels.ts';
import { metricFiles } from './metrics.ts';
import { refusalFiles } from './refusals.ts';
import { supplyFiles } from './supply.ts';
import { wireFiles } from './wire.ts';

export function generatedFiles(): ReadonlyMap<string, string> {
  const documents = new Map([
    ...[...controlFiles(), ...refusalFiles(), ...wireFiles()].map(
      ([file, text]) => [file, file.startsWith('docs/reference/') ? withoutTags(text) : text] as const,
    ),
    ...commandFiles(),
    ...configurationFiles(),
    ...metricFiles(),
  ]);
  return new Map([...documents, ...labelFiles(documents), ...supplyFiles(documents), ...scaleFiles()]);
}

/** Texts of the program say `<pid>`, which Markdown outside of code takes for HTML. */
function withoutTags(markdown: string): string {
  return markdown.replaceAll(/`[^`\n]*`|<(?!!--)/g, (found) => (found === '<' ? '\\<' : found));
}
