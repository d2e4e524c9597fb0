import { type Control, fail, pass } from '../control.ts';

const REMEDY =
  'command: ["secret-resolver"]: let the command start itself; it adds --permission and what it needs';

export const selfPermissionModel: Control = {
  id: 'self-permission-model',
  group: 'self',
  severity: 'warn',
  threat: 'A mistake of ours could start a program or write a value to a file.',
  promise: 'Node lets the resolver start no child process, worker or inspector, and write in few places.',
  check: ({ self }) => {
    if (self.permitted === undefined) return fail("Node's permission model is off", REMEDY);
    return self.permitted.length === 0
      ? pass(
          'no child process, worker, WASI or inspector; writes in the socket folder and the audit file only',
        )
      : fail(`Node's permission model allows ${self.permitted.join(', ')}`, REMEDY);
  },
};
