/** `npm start`: runs the demo on this machine. */
import { run } from '../../src/cli/run.ts';
import * as demo from './demo.ts';

await run(['demo', ...process.argv.slice(2)], { demo: () => Promise.resolve(demo) });
