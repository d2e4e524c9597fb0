import { RUNTIME_NAMES } from '../../domain/runtimes.ts';
import { type Control, fail, pass } from '../control.ts';

export const runtime: Control = {
  id: 'runtime',
  group: 'self',
  severity: 'info',
  threat:
    "Some checks mean something else, or nothing, where the container does not run on the node's own kernel.",
  promise: "The container runs on the node's own kernel, as far as it shows.",
  check: ({ runtime: { kind, evidence } }) =>
    kind === undefined
      ? pass(evidence)
      : fail(
          `${RUNTIME_NAMES[kind]}: ${evidence}`,
          'nothing: docs/runtimes.md says what replaces which check',
        ),
};
