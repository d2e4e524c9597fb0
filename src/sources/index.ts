/** The registry of sources: one line for each. */
import { type Config, DEFAULT_SOURCE_TYPE, type SecretName } from '../config/config.ts';
import { kubeletSecret } from './kubelet-secret/index.ts';
import type { Source, SourceRead } from './source.ts';

const SOURCES = [kubeletSecret] as const satisfies readonly Source[];

/** Why a volume has no generation to give: the faults of every source. */
export type VolumeFault = FaultOf<(typeof SOURCES)[number]>;
type FaultOf<S extends Source> = S extends Source ? keyof S['faults'] : never;

export type VolumeRead = SourceRead<VolumeFault>;

/** How to fix a fault. A fault means the same in every source that has it. */
export const VOLUME_REMEDIES: Readonly<Record<VolumeFault, string>> = Object.assign(
  {},
  ...SOURCES.map(({ faults }) => faults),
);

/** What a provider file may write as `source.type`. */
export const SOURCE_TYPES: readonly string[] = SOURCES.map(({ type }) => type);

export function sourceOf(secret: SecretName): Pick<Source<VolumeFault>, 'directory' | 'read'> {
  const type = secret.source ?? DEFAULT_SOURCE_TYPE;
  const source = SOURCES.find((known) => known.type === type);
  if (source === undefined) throw new Error(`no source of type ${type}`);
  return source;
}

export function volumeDirectory(config: Pick<Config, 'secretsRoot'>, secret: SecretName): string {
  return sourceOf(secret).directory(config, secret);
}
