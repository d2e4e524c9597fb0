/** `npm run generate`: writes what is generated from the catalogue of controls. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from './controls.ts';

for (const [file, text] of generatedFiles()) writeFileSync(join(import.meta.dirname, '../..', file), text);
