import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { inject } from '../../src/manifest/inject.ts';
import { RULES } from '../../src/manifest/lint.ts';
import { POD_FAULTS, plant } from '../manifest/faults.ts';
import { podArbitrary, write } from '../manifest/pods.ts';
import { readInput, requestFor } from '../manifest/support.ts';
import { type Policy, refusals } from './cel.ts';

const documents = parseAllDocuments(
  readFileSync(join(import.meta.dirname, '../../deploy/policies/validating-admission-policy.yaml'), 'utf8'),
).map((document) => document.toJS());
const policy = documents[0].spec as Policy;
const good = inject(requestFor(readInput('pod.yaml'))).text;

function podFrom(text: string): unknown {
  return parseAllDocuments(text, { version: '1.1' })[0]?.toJS();
}

function rulesOf(messages: readonly string[]): string[] {
  return messages.map((message) => message.split(':')[0] ?? '');
}

describe('validating admission policy', () => {
  it.each(['pod.yaml', 'sandbox.yaml', 'cronjob.yaml', 'statefulset.yaml', 'deployment.yaml'])(
    'admits the pod that inject makes of %s',
    (name) => {
      const objects = parseAllDocuments(inject(requestFor(readInput(name))).text, { version: '1.1' }).map(
        (document) => document.toJS(),
      );
      const object = objects.find(({ kind }) => kind !== 'ConfigMap');
      const template =
        object.kind === 'Pod'
          ? object
          : (object.spec.podTemplate ?? object.spec.template ?? object.spec.jobTemplate.spec.template);
      expect(refusals(policy, template)).toEqual([]);
    },
  );

  it('admits what inject makes of any pod', () => {
    fc.assert(
      fc.property(podArbitrary, (pod) => {
        const text = write(pod, {
          kind: 'Pod',
          style: 'json',
          indentSeq: true,
          indent: 2,
          crlf: false,
          finalNewline: true,
          noise: [9],
        });
        expect(refusals(policy, podFrom(inject(requestFor(text)).text))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it.each(POD_FAULTS)('refuses $rule: $name', (fault) => {
    expect(rulesOf(refusals(policy, podFrom(plant(good, [], [fault]))))).toContain(fault.rule);
  });

  it('refuses a debug container with the UID of the resolver, or with its Secret', () => {
    const pod = podFrom(good) as { spec: Record<string, unknown> };
    pod.spec.ephemeralContainers = [
      {
        name: 'debugger',
        securityContext: { runAsUser: 10771 },
        volumeMounts: [{ name: 'secret-resolver-secret-gitlab', mountPath: '/x' }],
      },
    ];
    expect(rulesOf(refusals(policy, pod))).toEqual(['secret-mounted-elsewhere', 'resolver-uid-shared']);
  });

  it('refuses a pod that asks for a resolver and got none, and lets other pods be', () => {
    const bare = { metadata: { name: 'x' }, spec: { containers: [{ name: 'agent' }] } };
    expect(refusals(policy, bare)).toEqual([]);
    const asking = { ...bare, metadata: { name: 'x', labels: { 'secret-resolver/inject': 'true' } } };
    expect(rulesOf(refusals(policy, asking))).toContain('resolver-order');
  });

  it('has a twin for every rule about pods', () => {
    const twins = new Set(rulesOf((policy.validations ?? []).map(({ message }) => message)));
    expect(RULES.filter(({ about, id }) => about === 'pod' && !twins.has(id)).map(({ id }) => id)).toEqual(
      [],
    );
    expect([...twins].filter((id) => !RULES.some((rule) => rule.id === id))).toEqual([]);
  });
});
