import { RESOLVER } from '../../manifest/names.ts';
import type { Control } from '../control.ts';

export const notChecked: Control = {
  id: 'not-checked',
  group: 'pod',
  severity: 'enforce',
  threat: 'A pod that lint cannot find in a manifest looks like one without a fault.',
  promise: 'Lint finds the pod around every resolver, or says that it does not.',
  rule: {
    about: 'object',
    remedy: 'Check the pods that are made of it: kubectl get pods -o yaml | secret-resolver lint -f -',
    *find({ unclear }) {
      for (const path of unclear) {
        yield { path, message: `not checked: there is a container ${RESOLVER} here, and no pod around it` };
      }
    },
  },
};
