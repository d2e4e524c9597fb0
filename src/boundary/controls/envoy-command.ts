import { asList, asMap, asText, canonicalJson } from '../../manifest/data.ts';
import { PROBES } from '../../manifest/pod.ts';
import { type Control, cel } from '../control.ts';
import { egressVolumes, kitAndEnvoy } from './shared/egress.ts';

const IMAGE = '(^|/)[^/]*envoy[^/]*$';
/** Ports: the one listener is on the loopback address. Variables: Envoy needs none, and each may hold a value. */
const ABSENT = ['command', 'env', 'envFrom', 'ports'] as const;

export const envoyCommand: Control = {
  id: 'envoy-command',
  group: 'processes',
  severity: 'enforce',
  threat:
    "Envoy's admin interface, or a configuration from elsewhere, hands out the values that pass through it.",
  promise: 'Envoy runs with the configuration that the egress process writes, and without an admin port.',
  rule: {
    remedy: 'Inject again with --supervisor envoy; the image has to have envoy in its name.',
    *find(subject) {
      const [, envoy] = kitAndEnvoy(subject);
      if (envoy === undefined) return;
      const { data, path, mounts } = envoy;
      const fault = (field: string, message: string) => ({ path: [...path, field], message });
      if (!new RegExp(IMAGE).test(asText(data.image) ?? ''))
        yield fault('image', 'the image of envoy is not called envoy');
      for (const field of ABSENT)
        if (asList(data[field]).length > 0) yield fault(field, `envoy has ${field}, and inject writes none`);
      if (data.lifecycle != null) yield fault('lifecycle', 'envoy has a lifecycle, and inject writes none');
      for (const probe of PROBES)
        if (asMap(data[probe]).exec != null) yield fault(probe, `the ${probe} of envoy runs a command`);
      const own = egressVolumes(subject);
      const wanted = mounts
        .filter(({ volume }) => own.has(volume))
        .map(({ mountPath }) => ['-c', `${mountPath}/envoy.yaml`, '--disable-hot-restart']);
      if (!wanted.some((args) => canonicalJson(args) === canonicalJson(data.args)))
        yield fault('args', 'the arguments of envoy are not those that inject writes');
    },
  },
  expression: {
    cel: cel`
      variables.envoy.all(c, c.image.matches("${IMAGE}")
        && ${ABSENT.map((field) => `c.?${field}.orValue([]).size() == 0`).join(' && ')} && !has(c.lifecycle)
        && ${PROBES.map((probe) => `!c.?${probe}.?exec.hasValue()`).join(' && ')}
        && c.?volumeMounts.orValue([]).exists(m, m.name in variables.egressVolumes
          && c.?args.orValue([]) == ["-c", m.mountPath + "/envoy.yaml", "--disable-hot-restart"]))`,
    message: 'the image, arguments, ports or variables of envoy are not those that inject writes',
  },
};
