/** Every generated document by its path, except for what buf and the schemas make. */
import { controlFiles } from './controls.ts';
import { labelFiles } from './labels.ts';
import { refusalFiles } from './refusals.ts';
import { supplyFiles } from './supply.ts';
import { wireFiles } from './wire.ts';

export function generatedFiles(): ReadonlyMap<string, string> {
  const documents = new Map([...controlFiles(), ...refusalFiles(), ...wireFiles()]);
  return new Map([...documents, ...labelFiles(documents), ...supplyFiles(documents)]);
}
