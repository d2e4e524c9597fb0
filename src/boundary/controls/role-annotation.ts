import { asMap } from '../../manifest/data.ts';
import { Annotation, KNOWN_AGENTS, KNOWN_SUPERVISORS, Label } from '../../manifest/names.ts';
import { type Control, cel, celList } from '../control.ts';

export const roleAnnotation: Control = {
  id: 'role-annotation',
  group: 'self',
  severity: 'enforce',
  threat: 'The author of a pod who may choose its supervisor can give the socket to the agent.',
  promise: 'Only the operator decides which container is the agent and which are supervisors.',
  rule: {
    remedy: `Say who is who by lint --agent and --supervisor; or let the namespace allow it by the label ${Label.annotatedRoles}: "true".`,
    *find({ template, annotatedRoles }, all) {
      const { object, annotations } = template;
      const allowed = all.some(
        ({ kind, name, data }) =>
          kind === 'Namespace' &&
          name === object.namespace &&
          asMap(asMap(data.metadata).labels)[Label.annotatedRoles] === 'true',
      );
      if (!annotatedRoles || allowed) return;
      const key = [Annotation.supervisors, Annotation.agent].find((each) => each in annotations);
      yield {
        from: 'template',
        path: ['metadata', 'annotations', key ?? Annotation.injected],
        message: 'an annotation says which container is the agent or a supervisor',
      };
    },
  },
  expression: {
    cel: cel`
      namespaceObject.metadata.?labels[?"${Label.annotatedRoles}"].orValue("") == "true"
      || ((variables.agent in ${celList(KNOWN_AGENTS)}
          || (variables.record == "" && !("${Annotation.agent}" in variables.annotations)))
        && variables.supervisors.all(s, s in ${celList(KNOWN_SUPERVISORS)}))`,
    message: `an annotation says which container is the agent or a supervisor, and the namespace has no label ${Label.annotatedRoles}: "true"`,
  },
};
