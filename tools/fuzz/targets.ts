/** Every target by name. They are loaded one at a time: the counters of one must not hold another's sources. */
import type { Target } from './target.ts';

const LOADERS = {
  http2: async () => (await import('./targets/http2.ts')).http2,
  requests: async () => (await import('./targets/requests.ts')).requests,
  'provider-files': async () => (await import('./targets/provider-files.ts')).providerFiles,
  profiles: async () => (await import('./targets/profiles.ts')).profiles,
  'secret-volumes': async () => (await import('./targets/secret-volumes.ts')).secretVolumes,
  placeholders: async () => (await import('./targets/placeholders.ts')).placeholders,
} satisfies Readonly<Record<string, () => Promise<Target>>>;

export type TargetName = keyof typeof LOADERS;
export const TARGETS = Object.keys(LOADERS) as TargetName[];

export function isTarget(name: string): name is TargetName {
  return Object.hasOwn(LOADERS, name);
}

export function loadTarget(name: TargetName): Promise<Target> {
  return LOADERS[name]();
}
