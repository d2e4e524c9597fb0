/** What a requirement decides by. */
import type { Config } from '../config/config.ts';
import type { PodTemplate } from './kinds.ts';
import type { Pod } from './pod.ts';
import type { Roles } from './roles.ts';
import type { InjectionSettings } from './sidecar.ts';
import type { ManifestStream } from './stream.ts';

export interface Situation {
  readonly stream: ManifestStream;
  readonly template: PodTemplate;
  readonly pod: Pod;
  readonly roles: Roles;
  readonly config: Config;
  readonly settings: InjectionSettings;
}
