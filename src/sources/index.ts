/** The registry of sources: one line for each. */
import { type Config, DEFAULT_SOURCE_TYPE, type SecretName } from '../config/config.ts';
import { kubeletSecret } from './kubelet-secret/index.ts';
import { SHARED_FAULTS, type SharedFault, type Source, type SourceRead } from './source.ts';

const SOURCES = [kubeletSecret] as const satisfies readonly Source[];

/** Why a volume has no generation to give: the faults that all sources share, and those of each. */
export type VolumeFault = SharedFault | FaultOf<(typeof SOURCES)[number]>;
type FaultOf<S extends Source> = S extends Source ? keyof S['faults'] : never;

export type VolumeRead = SourceRead<VolumeFault>;

/** How to fix a fault. No source has a fault of another's name. */
export const VOLUME_REMEDIES: Readonly<Record<VolumeFault, string>> = Object.assign(
  { ...SHARED_FAULTS },
  ...SOURCES.map(({ faults }) => faults),
);

/** What a provider file may write as `source.type`. */
export const SOURCE_TYPES: readonly string[] = SOURCES.map(({ type }) => type);

/** The source that reads a Secret. */
export function sourceOf(secret: SecretName): Omit<Source<VolumeFault>, 'type' | 'faults'> {
  const type = secret.source ?? DEFAULT_SOURCE_TYPE;
  const source = SOURCES.find((known) => known.type === type);
  if (source === undefined) throw new Error(`no source of type ${type}`);
  return source;
}

export function volumeDirectory(config: Pick<Config, 'secretsRoot'>, secret: SecretName): string {
  return sourceOf(secret).directory(config, secret);
}
