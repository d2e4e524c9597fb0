import { Annotation, RESOLVER } from '../../manifest/names.ts';
import { type Control, cel } from '../control.ts';

export const resolverMissing: Control = {
  id: 'resolver-missing',
  group: 'pod',
  severity: 'enforce',
  threat: 'A pod that asks for a resolver and gets none runs without what it was promised.',
  promise: 'A pod that asks for a resolver has exactly one.',
  rule: {
    about: 'object',
    remedy:
      'Inject again, or take out everything that an injection added by: secret-resolver inject --uninject',
    *find({ orphaned }) {
      for (const path of orphaned)
        yield { path, message: `the pod was injected, and has no container ${RESOLVER}` };
    },
  },
  expression: {
    cel: 'variables.resolver.size() == 1',
    message: 'the pod must have one container secret-resolver',
    messageCel: cel`
      variables.resolver.size() > 1
      ? "the pod has two containers secret-resolver; keep the one that inject wrote"
      : "${Annotation.notInjected}" in variables.annotations
      ? variables.annotations["${Annotation.notInjected}"] + " (namespace " + request.namespace + ")"
      : "the pod is to have a resolver and has none. Create the ConfigMap secret-resolver-injection in namespace "
        + request.namespace + ", with image and secrets, and check that the MutatingAdmissionPolicy"
        + " secret-resolver-inject is bound; or inject the manifest with: secret-resolver inject"`,
  },
};
