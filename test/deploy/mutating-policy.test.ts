import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pod } from 'kubernetes-models/v1';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { inject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { readInput, requestFor } from '../manifest/support.ts';
import { Evaluation, type Policy, refusals } from './cel.ts';
import { applyPatch, type PatchOperation } from './json-patch.ts';

function policyOf(file: string): Policy {
  const path = join(import.meta.dirname, '../../deploy/policies', file);
  return parseAllDocuments(readFileSync(path, 'utf8'))[0]?.toJS().spec as Policy;
}

const mutating = policyOf('mutating-admission-policy.yaml');
const validating = policyOf('validating-admission-policy.yaml');

const params = {
  data: {
    image: 'registry.example/secret-resolver:0.1.0',
    secrets: 'gitlab, models',
    providerFiles: 'gitlab.yaml,models.yaml',
    profileFiles: 'gitlab.yaml',
  },
};

interface PodObject {
  metadata: { namespace: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
}

/** What the API server does: each mutation sees the object that the one before left. */
function mutate(pod: PodObject): PodObject {
  const request = { namespace: pod.metadata.namespace };
  if (!new Evaluation(mutating, pod, { params, request }).matches) return pod;
  return (mutating.mutations ?? []).reduce<PodObject>((object, mutation) => {
    const evaluation = new Evaluation({ ...mutating, matchConditions: [] }, object, { params, request });
    const patch = evaluation.evaluate(mutation.jsonPatch?.expression ?? '') as PatchOperation[];
    return applyPatch(object, patch) as PodObject;
  }, pod);
}

/** The pod of an input of the inject tests, with the label, and with Secrets whose names are labels. */
function podFrom(name: string, more: Record<string, unknown> = {}): PodObject {
  const object = parseAllDocuments(readInput(name), { version: '1.1' })[0]?.toJS();
  const template = object.kind === 'Pod' ? object : (object.spec.podTemplate ?? object.spec.template);
  return {
    ...template,
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'x',
      namespace: 'tenant-a',
      annotations: template.metadata?.annotations ?? {},
      labels: { ...template.metadata?.labels, 'secret-resolver/inject': 'true' },
    },
    spec: { ...template.spec, ...more },
  };
}

const TOKEN = { automountServiceAccountToken: false };

describe('mutating admission policy', () => {
  it.each(['pod.yaml', 'sandbox.yaml', 'job.yaml', 'sandbox-template.yaml'])(
    '%s: what it makes is clean, admitted and a Pod by the schema',
    (name) => {
      const pod = mutate(podFrom(name, TOKEN));
      const text = stringify(pod);
      expect(
        lint({ file: name, text, choice: {}, ignore: [] }).findings.filter(
          ({ severity }) => severity !== 'note',
        ),
      ).toEqual([]);
      expect(refusals(validating, pod)).toEqual([]);
      new Pod(pod as never).validate();
    },
  );

  it.each(['pod.yaml', 'sandbox.yaml', 'job.yaml'])('%s: adds what inject adds', (name) => {
    const original = podFrom(name, TOKEN);
    const config = requestFor('').configFor('tenant-a');
    const renamed = {
      ...config,
      providers: config.providers.map((provider) => ({
        ...provider,
        from: provider.from.map((bulk) => ({ ...bulk, secret: { ...bulk.secret, name: 'models' } })),
      })),
    };
    const { text } = inject(requestFor(stringify(original), { configFor: () => renamed }));
    const injected = parseAllDocuments(text, { version: '1.1' })[0]?.toJS() as PodObject;
    const { annotations: _ours, ...metadata } = injected.metadata;
    const { annotations: _theirs, ...expected } = mutate(original).metadata;
    expect(metadata).toEqual(expected);
    expect(mutate(original).spec).toEqual(injected.spec);
  });

  it('leaves a pod alone that has a resolver, and one that asks for none', () => {
    const once = mutate(podFrom('pod.yaml', TOKEN));
    expect(mutate(once)).toEqual(once);
    const unasked = podFrom('pod.yaml');
    delete unasked.metadata.labels;
    expect(mutate(unasked)).toEqual(unasked);
  });

  it('leaves the token to the template: the validating policy refuses the pod without it', () => {
    const pod = mutate(podFrom('pod.yaml'));
    expect(refusals(validating, pod).map((message) => message.split(':')[0])).toEqual([
      'service-account-token',
    ]);
  });
});
