/** The registry of sources: one line for each. */
import { type Config, DEFAULT_SOURCE_TYPE, type SecretName } from '../config/config.ts';
import { kubeletSecret } from './kubelet-secret/index.ts';
import type { Source, SourceRead } from './source.ts';

const SOURCES = [kubeletSecret] as const satisfies readonly Source[];

/** Why a volume has no generation: the faults of every source. */
export type VolumeFault = keyof (typeof SOURCES)[number]['faults'];

/** A read of a volume by any source. */
export type VolumeRead = SourceRead<VolumeFault>;

/** How to fix a fault. A fault means the same in every source that has it. */
export const VOLUME_REMEDIES: Readonly<Record<VolumeFault, string>> = Object.assign(
  {},
  ...SOURCES.map(({ faults }) => faults),
);

export function sourceOf(secret: SecretName): Source<VolumeFault> {
  const type = secret.source ?? DEFAULT_SOURCE_TYPE;
  const source = SOURCES.find((known) => known.type === type);
  if (source === undefined) throw new Error(`no source of type ${type}`);
  return source;
}

export function volumeDirectory(config: Pick<Config, 'secretsRoot'>, secret: SecretName): string {
  return sourceOf(secret).directory(config, secret);
}
