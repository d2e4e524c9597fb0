/** Entry of the file that the image runs `serve` from. */
import { run } from './cli/run.ts';
import * as serve from './cli/serve.ts';

void run(process.argv.slice(2), { serve: () => Promise.resolve(serve) });
