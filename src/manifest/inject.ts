/**
 * Injects the resolver into every pod template of a stream, or takes it out. Neither writes anything: both return
 * text, or throw {@link ConfigError} with everything that is wrong. Both check their own work before they return
 * it, so that a defect here ends in an error and never in a half-injected manifest.
 */
import type { Config } from '../config/config.ts';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { type Addition, applyToModel } from './additions.ts';
import type { Data } from './data.ts';
import { CannotInsert, planInsertions } from './insert.ts';
import { findManifests, KNOWN_KINDS, type Manifests, objectName, type PodTemplate } from './kinds.ts';
import { Annotation, RESOLVER, VOLUME_PREFIX } from './names.ts';
import { findOwnedParts, formatRecord, type InjectionRecord, readRecord } from './ownership.ts';
import { type Pod, readPod } from './pod.ts';
import { planRemovals, removeFromModel, rollUp } from './remove.ts';
import { requirementIssues } from './requirements.ts';
import { explainRoleProblem, findRoles, isRoleProblem, type RoleChoice, type Roles } from './roles.ts';
import {
  type InjectionSettings,
  podVolumes,
  probeContainer,
  resolverContainer,
  supervisorMount,
} from './sidecar.ts';
import { type ManifestStream, type Path, parseStream, wholeFile } from './stream.ts';
import { applySplices, type Splice } from './text.ts';
import { defect, endedText, isBlockAt, templateData, verify } from './verify.ts';

export interface InjectRequest {
  readonly file: string;
  readonly text: string;
  readonly version: string;
  readonly choice: RoleChoice;
  readonly settings: InjectionSettings;
  /** The configuration as it reads in a namespace; undefined where the manifest does not say which. Throws ConfigError. */
  readonly configFor: (namespace: string | undefined) => Config;
  /** Take over additions of ours that were changed by hand since. */
  readonly replaceEdited: boolean;
}

export interface Rewritten {
  readonly text: string;
  /** `Deployment web`, for each template that was worked on. */
  readonly done: readonly string[];
  /** Objects whose pod template was passed through, each with the reason. */
  readonly passed: readonly string[];
}

/** Returns the stream with the resolver in each of its pod templates. */
export function inject(request: InjectRequest): Rewritten {
  const bare = uninject(request);
  const source = endedText(request.file, bare.text);
  const stream = parseStream(request.file, source.text);
  const manifests = findManifests(stream);
  // Roles that an earlier injection recorded are in the text as it came.
  const before = findManifests(parseStream(request.file, request.text)).templates;
  const issues: ConfigIssue[] = [...manifests.issues];
  const splices: Splice[] = [];
  const expected = new Map<PodTemplate, Data>();
  const done: string[] = [];

  manifests.templates.forEach((template, index) => {
    if (isLeftOut(template)) return;
    const record = readRecord(before[index]?.annotations ?? {});
    const recorded = record === undefined || record === 'unreadable' ? {} : record.roles;
    const planned = collecting(issues, () => planTemplate(stream, template, request, recorded));
    if (planned === undefined) return;
    splices.push(...planned.splices);
    expected.set(template, planned.model);
    done.push(objectName(template.object));
  });
  if (issues.length > 0) throw new ConfigError(issues);
  if (done.length === 0) throw new ConfigError([nothingFound(request.file, manifests)]);

  const text = source.restore(applySplices(source.text, splices));
  verify(request.file, text, manifests, expected);
  const back = uninject({ ...request, text, replaceEdited: false }).text;
  if (back !== bare.text) throw new ConfigError([defect(request.file, 'taking it out again')]);
  return { text, done, passed: passedOver(manifests) };
}

/** Returns the stream without what an injection added. Text without an injection is returned as it is. */
export function uninject(request: Pick<InjectRequest, 'file' | 'text' | 'replaceEdited'>): Rewritten {
  const source = endedText(request.file, request.text);
  const stream = parseStream(request.file, source.text);
  const manifests = findManifests(stream);
  const issues: ConfigIssue[] = [...manifests.issues];
  const splices: Splice[] = [];
  const expected = new Map<PodTemplate, Data>();
  const done: string[] = [];
  for (const template of manifests.templates) {
    const raw = templateData(template);
    const owned = findOwnedParts(raw);
    const record = readRecord(template.annotations);
    const issue = ownershipIssue(stream, template, owned, record, request.replaceEdited);
    if (issue !== undefined) issues.push(issue);
    if (record === undefined || record === 'unreadable' || issue !== undefined) continue;
    const parts = rollUp(raw, [...owned.items, ...ownedFields(template, record)], record.created);
    splices.push(...planRemovals(source.text, template.document.node, template.path, parts));
    expected.set(template, removeFromModel(raw, parts, isBlockAt(template)));
    done.push(objectName(template.object));
  }
  if (issues.length > 0) throw new ConfigError(issues);
  const text = source.restore(applySplices(source.text, splices));
  verify(request.file, text, manifests, expected);
  return { text, done, passed: passedOver(manifests) };
}

interface Planned {
  readonly splices: readonly Splice[];
  readonly model: Data;
}

function planTemplate(
  stream: ManifestStream,
  template: PodTemplate,
  request: InjectRequest,
  recorded: Partial<Roles>,
): Planned {
  const pod = readPod(template.spec);
  const roles = findRoles(pod, template.annotations, request.choice, recorded);
  if (isRoleProblem(roles)) {
    const { path, message, hint } = explainRoleProblem(roles);
    throw new ConfigError([stream.issueAt(template.document, [...template.path, ...path], message, hint)]);
  }
  const config = request.configFor(template.object.namespace);
  const issues = requirementIssues({ stream, template, pod, roles, config, settings: request.settings });
  if (issues.length > 0) throw new ConfigError(issues);

  const raw = templateData(template);
  const parts = podAdditions(pod, roles, config, request.settings);
  const { hash } = findOwnedParts(applyToModel(raw, parts));
  try {
    const plan = (additions: readonly Addition[]) =>
      planInsertions(stream.text, template.document, template.path, additions);
    // The annotation names the fields that were created, itself among them: hence two rounds.
    const annotation = (created: readonly Path[]): Addition => ({
      to: ['metadata', 'annotations'],
      entry: {
        key: Annotation.injected,
        value: formatRecord({
          version: request.version,
          hash,
          roles,
          created: created.filter(isNotAnnotation),
        }),
      },
    });
    const { created } = plan([...parts, annotation([])]);
    const additions = [...parts, annotation(created)];
    return { splices: plan(additions).splices, model: applyToModel(raw, additions) };
  } catch (error) {
    if (error instanceof CannotInsert) throw new ConfigError([cannotInsert(stream, template, error)]);
    throw error;
  }
}

/** The annotation itself is known by its name and need not be recorded. */
function isNotAnnotation(path: Path): boolean {
  return path[path.length - 1] !== Annotation.injected;
}

/** Everything but the annotation. */
function podAdditions(pod: Pod, roles: Roles, config: Config, settings: InjectionSettings): Addition[] {
  const agent = pod.containers.find(({ name }) => name === roles.agent);
  const combined = agent !== undefined && roles.supervisors.includes(agent.name);
  const supervisors = pod.containers.filter(({ name }) => roles.supervisors.includes(name));
  // In the combined layout the probe gets the agent's mounts as they will be, the socket's among them.
  const agentAsInjected =
    agent === undefined || !combined
      ? agent
      : {
          ...agent,
          data: {
            ...agent.data,
            volumeMounts: [
              ...((agent.data.volumeMounts as Data[] | undefined) ?? []),
              supervisorMount(config),
            ],
          },
        };
  return [
    ...supervisors.map(
      (container): Addition => ({
        to: ['spec', ...container.path, 'volumeMounts'],
        items: [supervisorMount(config)],
      }),
    ),
    {
      to: ['spec', 'initContainers'],
      items: [
        resolverContainer(config, settings),
        ...(agentAsInjected === undefined
          ? []
          : [probeContainer(config, settings, agentAsInjected, pod, combined)]),
      ],
    },
    { to: ['spec', 'volumes'], items: podVolumes(config, settings, pod) },
    ...(pod.spec.automountServiceAccountToken === undefined
      ? [{ to: ['spec'], entry: { key: 'automountServiceAccountToken', value: false } } satisfies Addition]
      : []),
  ];
}

/** Fields of ours that are no items of lists. */
function ownedFields(template: PodTemplate, record: InjectionRecord): Path[] {
  const token = ['spec', 'automountServiceAccountToken'];
  const tokenIsOurs =
    record.created.some((path) => path.join('/') === token.join('/')) &&
    template.spec.automountServiceAccountToken === false;
  return [['metadata', 'annotations', Annotation.injected], ...(tokenIsOurs ? [token] : [])];
}

function ownershipIssue(
  stream: ManifestStream,
  template: PodTemplate,
  owned: ReturnType<typeof findOwnedParts>,
  record: InjectionRecord | 'unreadable' | undefined,
  replaceEdited: boolean,
): ConfigIssue | undefined {
  const at = (path: Path, message: string, hint: string) =>
    stream.issueAt(template.document, [...template.path, ...path], message, hint);
  if (record === 'unreadable') {
    return at(
      ['metadata', 'annotations', Annotation.injected],
      'is not what inject writes there',
      `take out the annotation and everything named ${RESOLVER} or ${VOLUME_PREFIX}*, then inject again`,
    );
  }
  const first = owned.items[0];
  if (record === undefined) {
    return first === undefined
      ? undefined
      : at(
          first,
          `has a name that inject gives, and was not made by it: ${RESOLVER} and ${VOLUME_PREFIX}* are ours`,
          'rename it or take it out',
        );
  }
  if (record.hash === owned.hash || replaceEdited) return undefined;
  return at(
    first ?? ['metadata', 'annotations', Annotation.injected],
    'what was injected has been changed since',
    '--replace-edited drops the changes; keep them by a patch that is applied after inject',
  );
}

function cannotInsert(stream: ManifestStream, template: PodTemplate, error: CannotInsert): ConfigIssue {
  const at = (message: string, hint: string) => stream.issueAt(template.document, error.path, message, hint);
  switch (error.problem) {
    case 'alias':
      return at(
        'is an alias, so an addition would appear where its anchor is too',
        'write the content out here',
      );
    case 'anchor':
      return at(
        'is an anchor that is used in another place, where an addition would appear too',
        'write the content out in both places',
      );
    case 'merged':
      return at('comes from a merge key and cannot be added to', 'write the field out here');
    case 'null':
      return at('is null', 'take the field out, or write [] or {}');
    case 'type':
      return at(
        'has the wrong type',
        'write a list where Kubernetes has a list, and a map where it has a map',
      );
  }
}

function isLeftOut(template: PodTemplate): boolean {
  return String(template.annotations[Annotation.inject]) === 'false';
}

function passedOver(manifests: Manifests): string[] {
  return [
    ...manifests.unknown.map((object) => `${objectName(object)} (its kind is not known here)`),
    ...manifests.templates
      .filter(isLeftOut)
      .map(({ object }) => `${objectName(object)} (annotated ${Annotation.inject}: "false")`),
  ];
}

function nothingFound(file: string, manifests: Manifests): ConfigIssue {
  const kinds = [...new Set(manifests.objects.map(({ kind }) => kind))];
  return wholeFile(
    file,
    kinds.length === 0 ? 'is empty' : `has no pod template to inject into; it has ${kinds.join(', ')}`,
    `give it one of ${KNOWN_KINDS.join(', ')}, or a List of them`,
  );
}

function collecting<T>(issues: ConfigIssue[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues);
    return undefined;
  }
}
