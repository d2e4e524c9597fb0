/** What inject decides by, and where it finds fault. */
import type { Config } from '../config/config.ts';
import type { ConfigIssue } from '../domain/errors.ts';
import type { Path } from './data.ts';
import { issueAt, type PodTemplate } from './kinds.ts';
import type { Container, Pod } from './pod.ts';
import type { Roles } from './roles.ts';
import { wholeFile } from './stream.ts';

export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

/** What the operator chooses on the command line, and the names of the files beside the configuration. */
export interface InjectionSettings {
  readonly image: string;
  /** Image of Envoy, where it is the supervisor. */
  readonly envoyImage: string | undefined;
  readonly imagePullPolicy: (typeof PULL_POLICIES)[number] | undefined;
  readonly imagePullSecrets: readonly string[] | undefined;
  /** Changes to the default resources, as {@link RESOURCES_FORM}. */
  readonly resources: string | undefined;
  readonly selfTestResources: string | undefined;
  /** UID and GID of the resolver. */
  readonly uid: number;
  /** ConfigMap with `config.yaml` and the provider files. */
  readonly configMap: string;
  /** ConfigMap with the profiles. */
  readonly profilesConfigMap: string;
  /** Base names of the provider files and profiles, which are the keys of the ConfigMaps. */
  readonly providerFiles: readonly string[];
  readonly profileFiles: readonly string[];
}

/** A pod template that is to get a resolver, and what is known about it. */
export interface Situation {
  readonly template: PodTemplate;
  readonly pod: Pod;
  readonly roles: Roles;
  readonly config: Config;
  readonly settings: InjectionSettings;
}

/** At a path of the pod spec. */
export function podIssue({ template }: Situation, path: Path, message: string, hint: string): ConfigIssue {
  return issueAt(template, ['spec', ...path], message, hint);
}

export function configIssue({ config }: Situation, message: string, hint: string): ConfigIssue {
  return wholeFile(config.file, message, hint);
}

export function agentOf({ pod, roles }: Pick<Situation, 'pod' | 'roles'>): Container | undefined {
  return pod.containers.find(({ name }) => name === roles.agent);
}
