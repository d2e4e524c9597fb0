/** What a requirement decides by, and where it finds fault. */
import type { Config } from '../config/config.ts';
import type { ConfigIssue } from '../domain/errors.ts';
import type { Path } from './data.ts';
import { issueAt, type PodTemplate } from './kinds.ts';
import type { Container, Pod } from './pod.ts';
import type { Roles } from './roles.ts';
import type { InjectionSettings } from './sidecar.ts';
import { wholeFile } from './stream.ts';

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
