/** `npm run start:envoy`: the same demo, with a stock Envoy as the supervisor. */
import { run } from '../../src/cli/run.ts';
import { createCommand } from './demo.ts';
import { EnvoySupervisor } from './envoy-supervisor.ts';

await run(['demo-envoy', ...process.argv.slice(2)], {
  'demo-envoy': async () => ({
    createCommand: (context) => createCommand(context, 'demo-envoy', new EnvoySupervisor()),
  }),
});
