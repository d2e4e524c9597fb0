/** `npm run generate`: writes what is generated except for src/gen and the schemas. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from './files.ts';

for (const [file, text] of generatedFiles()) writeFileSync(join(import.meta.dirname, '../..', file), text);
