/** `npm start`: runs the demo on this machine. */
import { run } from '../../src/cli/run.ts';
import { createCommand } from './demo.ts';
import { ownSupervisor } from './own-supervisor.ts';

await run(['demo', ...process.argv.slice(2)], {
  demo: async () => ({ createCommand: (context) => createCommand(context, 'demo', ownSupervisor) }),
});
