/**
 * What of a pod template is ours. The annotation says which version wrote it, which enclosing fields it had to
 * create, and a hash of the additions: with it an addition that somebody changed by hand is told from ours, and
 * taking the additions out gives back the text as it was.
 */
import { createHash } from 'node:crypto';
import { asList, asMap, asText, canonicalJson, type Data, type Path } from './data.ts';
import {
  Annotation,
  CA_VOLUME,
  EGRESS,
  EGRESS_VOLUME,
  ENVOY,
  RESOLVER,
  SELF_TESTS,
  SOCKET_VOLUME,
  VOLUME_PREFIX,
} from './names.ts';
import type { Roles } from './roles.ts';
import { type InjectionSettings, PULL_POLICIES } from './situation.ts';

/** What the annotation holds, as JSON. */
export interface InjectionRecord {
  readonly version: string;
  readonly hash: string;
  readonly roles: Roles;
  /** Variables that were added to the agent: they have names of programs, not of ours. */
  readonly env: readonly string[];
  /** Paths, relative to the pod template, of fields that were not there before. */
  readonly created: readonly Path[];
  /** What flags asked for, so that a later injection without them keeps it. */
  readonly kept: KeptSettings;
}

export type KeptSettings = Partial<
  Pick<
    InjectionSettings,
    'envoyImage' | 'imagePullPolicy' | 'imagePullSecrets' | 'resources' | 'selfTestResources'
  >
>;

/** The parts of a pod template that carry our names, as they are found. */
export interface OwnedParts {
  /** Paths relative to the pod template: items of lists. */
  readonly items: readonly Path[];
  readonly hash: string;
}

export function formatRecord(record: InjectionRecord): string {
  const { version, hash, roles, env, created, kept } = record;
  return JSON.stringify({
    version,
    hash,
    agent: roles.agent,
    supervisors: roles.supervisors,
    env: env.length === 0 ? undefined : env,
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
    roles: { agent: asText(parsed.agent), supervisors: texts(parsed.supervisors) },
    env: texts(parsed.env),
    created: texts(parsed.created).map((path) =>
      path.split('/').map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
    ),
    kept: {
      imagePullPolicy: PULL_POLICIES.find((policy) => policy === parsed.imagePullPolicy),
      imagePullSecrets: parsed.imagePullSecrets === undefined ? undefined : texts(parsed.imagePullSecrets),
      envoyImage: asText(parsed.envoyImage),
      resources: asText(parsed.resources),
      selfTestResources: asText(parsed.selfTestResources),
    },
  };
}

function texts(value: unknown): string[] {
  return asList(value).filter((item) => typeof item === 'string');
}

/** Finds everything in a pod template that has one of our names, and the variables that the record says are ours. */
export function findOwnedParts(template: Data, record?: Pick<InjectionRecord, 'roles' | 'env'>): OwnedParts {
  const { roles, env = [] } = record ?? {};
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
  const ourName = (item: Data) => item.name === RESOLVER || SELF_TESTS.includes(item.name) || isOfKit(item);
  for (const list of ['initContainers', 'containers'] as const) {
    asList(spec[list]).forEach((value, index) => {
      const container = asMap(value);
      if (ourName(container)) return;
      collect(
        container.volumeMounts,
        ['spec', list, index, 'volumeMounts'],
        ({ name }) => name === SOCKET_VOLUME || name === CA_VOLUME,
      );
      if (container.name === roles?.agent)
        collect(container.env, ['spec', list, index, 'env'], ({ name }) => env.some((each) => each === name));
    });
    collect(spec[list], ['spec', list], ourName);
  }
  collect(spec.volumes, ['spec', 'volumes'], (volume) =>
    (asText(volume.name) ?? '').startsWith(VOLUME_PREFIX),
  );
  // 32 hex digits: enough to notice an edit, which is all that it is for.
  const hash = createHash('sha256').update(canonicalJson(contents)).digest('hex').slice(0, 32);
  return { items, hash };
}

/** Other programs are called Envoy, too: ours have the kit's volume. */
function isOfKit({ name, volumeMounts }: Data): boolean {
  return (
    (name === EGRESS || name === ENVOY) &&
    asList(volumeMounts).some((mount) => asMap(mount).name === EGRESS_VOLUME)
  );
}
