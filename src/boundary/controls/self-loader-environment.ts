import { isLoaderVariable, LOADER_VARIABLES } from '../../domain/kubernetes.ts';
import { asList, asMap } from '../../manifest/data.ts';
import { type Control, cel, fail, pass } from '../control.ts';
import { kitAndEnvoy } from './shared/egress.ts';

export const selfLoaderEnvironment: Control = {
  id: 'self-loader-environment',
  group: 'self',
  severity: 'enforce',
  threat:
    'Variables such as NODE_OPTIONS and LD_PRELOAD load code into the resolver or write its memory to files.',
  promise: 'No environment variable loads code into the resolver.',
  check: ({ self }) =>
    self.loaderVariables.length === 0
      ? pass('no NODE_OPTIONS, LD_PRELOAD or the like')
      : fail(
          `set in the environment: ${self.loaderVariables.join(', ')}`,
          `env: remove ${self.loaderVariables.join(', ')} (look at envFrom and the image, too)`,
        ),
  rule: {
    remedy: 'Take the variable out, and envFrom, which may bring any.',
    *find(subject) {
      const [kit] = kitAndEnvoy(subject);
      const ours = [subject.resolver, subject.pod.selfTest, kit].filter((each) => each !== undefined);
      for (const { name, data, path } of ours) {
        for (const [index, value] of asList(data.env).entries()) {
          const variable = String(asMap(value).name);
          if (isLoaderVariable(variable))
            yield {
              path: [...path, 'env', index],
              message: `container ${name} has the variable ${variable}`,
            };
        }
        if (asList(data.envFrom).length > 0)
          yield { path: [...path, 'envFrom'], message: `container ${name} takes its environment by envFrom` };
      }
    },
  },
  expression: {
    cel: cel`
      (variables.resolver + variables.selfTest + variables.kit).all(r, r.?envFrom.orValue([]).size() == 0
        && r.?env.orValue([]).all(e, !e.name.matches("^(${LOADER_VARIABLES.join('|').replaceAll('*', '.*')})$")))`,
    message: 'the resolver, its self-test or the egress process has a variable that loads code, or envFrom',
  },
};
