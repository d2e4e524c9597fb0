/** The published schemas of every kind of object that deploy/ and docs/how-to/ have. */
import {
  ClusterSecretStore,
  ExternalSecret,
} from '@kubernetes-models/external-secrets/external-secrets.io/v1';
import {
  ECRAuthorizationToken,
  GithubAccessToken,
  STSSessionToken,
  VaultDynamicSecret,
} from '@kubernetes-models/external-secrets/generators.external-secrets.io/v1alpha1';
import { PodMonitor, PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from 'kubernetes-models/admissionregistration.k8s.io/v1';
import { Deployment } from 'kubernetes-models/apps/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { ConfigMap, Namespace, Pod, PodTemplate } from 'kubernetes-models/v1';
import { z } from 'zod';

type Model = new (data: never) => { validate: () => void };

/** By apiVersion and kind; each from the package that publishes the schemas of its project. */
const MODELS: Readonly<Record<string, Model>> = {
  'v1/Namespace': Namespace,
  'v1/Pod': Pod,
  'v1/ConfigMap': ConfigMap,
  'apps/v1/Deployment': Deployment,
  'networking.k8s.io/v1/NetworkPolicy': NetworkPolicy,
  'admissionregistration.k8s.io/v1/MutatingAdmissionPolicy': MutatingAdmissionPolicy,
  'admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding': MutatingAdmissionPolicyBinding,
  'admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy': ValidatingAdmissionPolicy,
  'admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding': ValidatingAdmissionPolicyBinding,
  'external-secrets.io/v1/ExternalSecret': ExternalSecret,
  'external-secrets.io/v1/ClusterSecretStore': ClusterSecretStore,
  'generators.external-secrets.io/v1alpha1/ECRAuthorizationToken': ECRAuthorizationToken,
  'generators.external-secrets.io/v1alpha1/GithubAccessToken': GithubAccessToken,
  'generators.external-secrets.io/v1alpha1/STSSessionToken': STSSessionToken,
  'generators.external-secrets.io/v1alpha1/VaultDynamicSecret': VaultDynamicSecret,
  'monitoring.coreos.com/v1/PodMonitor': PodMonitor,
  'monitoring.coreos.com/v1/PrometheusRule': PrometheusRule,
};

/** No package publishes agent-sandbox's schemas: this one is written from its documented fields. */
const sandboxTemplate = z.strictObject({
  apiVersion: z.literal('extensions.agents.x-k8s.io/v1beta1'),
  kind: z.literal('SandboxTemplate'),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.strictObject({
    podTemplate: z.strictObject({ metadata: z.looseObject({}).optional(), spec: z.looseObject({}) }),
  }),
});

/** Throws where an object is not valid by the schema of its version. */
export function validateObject(data: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec?: unknown;
}): void {
  if (data.kind === 'SandboxTemplate') {
    const { spec } = sandboxTemplate.parse(data);
    new PodTemplate({ metadata: { name: 'x' }, template: spec.podTemplate } as never).validate();
    return;
  }
  const model = MODELS[`${data.apiVersion}/${data.kind}`];
  if (model === undefined) throw new Error(`no schema for ${data.apiVersion}/${data.kind}`);
  new model(data as never).validate();
}
