import type { Control } from '../control.ts';
import { fail, pass } from '../finding.ts';

export const selfLoaderEnvironment: Control = {
  id: 'self-loader-environment',
  group: 'self',
  severity: 'enforce',
  threat:
    'Variables such as NODE_OPTIONS and LD_PRELOAD load code into the resolver or write its memory to files.',
  promise: 'No environment variable loads code into the resolver.',
  check: {
    run: ({ self }) =>
      self.loaderVariables.length === 0
        ? pass('no NODE_OPTIONS, LD_PRELOAD or the like')
        : fail(
            `set in the environment: ${self.loaderVariables.join(', ')}`,
            `env: remove ${self.loaderVariables.join(', ')} (look at envFrom and the image, too)`,
          ),
  },
};
