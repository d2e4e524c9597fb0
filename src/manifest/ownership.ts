/**
 * What of a pod template is ours. The annotation says which version wrote it, which enclosing fields it had to
 * create, and a hash of the additions: with it an addition that somebody changed by hand is told from ours, and
 * taking the additions out gives back the text as it was.
 */
import { createHash } from 'node:crypto';
import { asList, asMap, asText, canonicalJson, type Data } from './data.ts';
import { Annotation, RESOLVER, SELF_TESTS, SOCKET_VOLUME, VOLUME_PREFIX } from './names.ts';
import type { Roles } from './roles.ts';
import { type InjectionSettings, PULL_POLICIES } from './sidecar.ts';
import type { Path } from './stream.ts';

/** What the annotation holds, as JSON. */
export interface InjectionRecord {
  readonly version: string;
  readonly hash: string;
  readonly roles: Roles;
  /** Paths, relative to the pod template, of fields that were not there before. */
  readonly created: readonly Path[];
  /** What flags asked for, so that a later injection without them keeps it. */
  readonly kept: KeptSettings;
}

export type KeptSettings = Partial<
  Pick<InjectionSettings, 'imagePullPolicy' | 'imagePullSecrets' | 'resources' | 'selfTestResources'>
>;

/** The parts of a pod template that carry our names, as they are found. */
export interface OwnedParts {
  /** Paths relative to the pod template: items of lists. */
  readonly items: readonly Path[];
  readonly hash: string;
}

export function formatRecord(record: InjectionRecord): string {
  const { version, hash, roles, created, kept } = record;
  return JSON.stringify({
    version,
    hash,
    ...(roles.agent === undefined ? {} : { agent: roles.agent }),
    supervisors: roles.supervisors,
    created: created.map((path) => path.join('/')),
    ...kept,
  });
}

/** Undefined where there is no record; `'unreadable'` where the annotation holds something else. */
export function readRecord(annotations: Data): InjectionRecord | 'unreadable' | undefined {
  const text = annotations[Annotation.injected];
  if (text === undefined) return undefined;
  let parsed: Data;
  try {
    parsed = asMap(JSON.parse(asText(text) ?? ''));
  } catch {
    return 'unreadable';
  }
  const version = asText(parsed.version);
  const hash = asText(parsed.hash);
  if (version === undefined || hash === undefined) return 'unreadable';
  return {
    version,
    hash,
    roles: {
      agent: asText(parsed.agent),
      supervisors: asList(parsed.supervisors).filter((name) => typeof name === 'string'),
    },
    created: asList(parsed.created)
      .filter((path) => typeof path === 'string')
      .map((path) => path.split('/').map((part) => (/^\d+$/.test(part) ? Number(part) : part))),
    kept: {
      imagePullPolicy: PULL_POLICIES.find((policy) => policy === parsed.imagePullPolicy),
      imagePullSecrets:
        parsed.imagePullSecrets === undefined
          ? undefined
          : asList(parsed.imagePullSecrets).filter((name) => typeof name === 'string'),
      resources: asText(parsed.resources),
      selfTestResources: asText(parsed.selfTestResources),
    },
  };
}

/** Finds everything in a pod template that has one of our names. */
export function findOwnedParts(template: Data): OwnedParts {
  const spec = asMap(template.spec);
  const items: Path[] = [];
  const contents: unknown[] = [];
  const collect = (list: unknown, path: Path, isOurs: (item: Data) => boolean) => {
    asList(list).forEach((item, index) => {
      if (!isOurs(asMap(item))) return;
      items.push([...path, index]);
      contents.push(item);
    });
  };
  const ourName = (item: Data) => item.name === RESOLVER || SELF_TESTS.includes(item.name);
  for (const list of ['initContainers', 'containers'] as const) {
    asList(spec[list]).forEach((value, index) => {
      const container = asMap(value);
      if (ourName(container)) return;
      collect(
        container.volumeMounts,
        ['spec', list, index, 'volumeMounts'],
        (mount) => mount.name === SOCKET_VOLUME,
      );
    });
    collect(spec[list], ['spec', list], ourName);
  }
  collect(spec.volumes, ['spec', 'volumes'], (volume) =>
    (asText(volume.name) ?? '').startsWith(VOLUME_PREFIX),
  );
  return { items, hash: hashParts(contents) };
}

/** 32 hex digits: enough to notice an edit, which is all that it is for. */
function hashParts(contents: readonly unknown[]): string {
  return createHash('sha256').update(canonicalJson(contents)).digest('hex').slice(0, 32);
}
