/**
 * Injects the resolver into every pod template of a stream, or takes it out. Neither writes anything: both return
 * text, or throw {@link ConfigError} with everything that is wrong. Both check their own work before they return
 * it, so that a defect here ends in an error and never in a half-injected manifest.
 */
import type { Config } from '../config/config.ts';
import { collecting } from '../config/read.ts';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { type Addition, applyToModel } from './additions.ts';
import { asList, asMap, asText, type Data, type Path } from './data.ts';
import { CannotInsert, planInsertions } from './insert.ts';
import { findManifests, KNOWN_KINDS, type Manifests, objectName, type PodTemplate } from './kinds.ts';
import { Annotation, Label, RESOLVER, VOLUME_PREFIX } from './names.ts';
import { findOwnedParts, formatRecord, type InjectionRecord, readRecord } from './ownership.ts';
import { readPod } from './pod.ts';
import { planRemovals, removeFromModel, rollUp } from './remove.ts';
import { profileNotes, requirementIssues, templateIssues, tokenNotes } from './requirements.ts';
import { choiceFor, explainRoleProblem, findRoles, isRoleProblem, type RoleChoice } from './roles.ts';
import { settingsFor } from './settings.ts';
import { addedVariables, type InjectionSettings, podAdditions } from './sidecar.ts';
import { type ManifestStream, parseStream, wholeFile } from './stream.ts';
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
  /** Templates that are meant, as `Kind/name`; all unless given. */
  readonly only?: readonly string[] | undefined;
}

export interface Rewritten {
  readonly text: string;
  /** `Deployment web`, for each template that was worked on. */
  readonly done: readonly string[];
  /** Objects whose pod template was passed through, each with the reason. */
  readonly passed: readonly string[];
  /** Changes that a reader of the manifest may not expect. */
  readonly notes: readonly string[];
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
  const notes: string[] = [];
  const strangers: { template: PodTemplate; issue: ConfigIssue }[] = [];

  manifests.templates.forEach((template, index) => {
    if (reasonToPass(template, request.only) !== undefined) return;
    const record = readRecord(before[index]?.annotations ?? {});
    const recorded = record === undefined || record === 'unreadable' ? undefined : record;
    const planned = collecting(issues, () => planTemplate(stream, template, request, recorded));
    if (planned === undefined) return;
    if ('field' in planned) {
      strangers.push({ template, issue: planned });
      return;
    }
    splices.push(...planned.splices);
    expected.set(template, planned.model);
    done.push(objectName(template.object));
    notes.push(...planned.notes);
  });
  // A database beside the sandbox is passed by; a stream of nothing else is a mistake.
  if (done.length === 0 && issues.length === 0) {
    issues.push(...strangers.map(({ issue }) => issue));
    if (strangers.length === 0) issues.push(nothingFound(request.file, manifests, request.only));
  }
  if (issues.length > 0) throw new ConfigError(issues);

  const text = source.restore(applySplices(source.text, splices));
  verify(request.file, text, manifests, expected);
  const back = uninject({ ...request, text, replaceEdited: false }).text;
  if (back !== bare.text) throw new ConfigError([defect(request.file, 'taking it out again')]);
  const passed = [
    ...passedOver(manifests, request.only),
    ...strangers.map(
      ({ template }) => `${objectName(template.object)} (has neither an agent nor a supervisor)`,
    ),
  ];
  return { text, done, passed, notes };
}

/** Returns the stream without what an injection added. Text without an injection is returned as it is. */
export function uninject(
  request: Pick<InjectRequest, 'file' | 'text' | 'replaceEdited' | 'only'>,
): Rewritten {
  const source = endedText(request.file, request.text);
  const stream = parseStream(request.file, source.text);
  const manifests = findManifests(stream);
  const issues: ConfigIssue[] = [...manifests.issues];
  const splices: Splice[] = [];
  const expected = new Map<PodTemplate, Data>();
  const done: string[] = [];
  for (const template of manifests.templates.filter((each) => isNamed(each, request.only))) {
    const raw = templateData(template);
    const record = readRecord(template.annotations);
    const owned = findOwnedParts(raw, record);
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
  return { text, done, passed: passedOver(manifests, request.only), notes: [] };
}

interface Planned {
  readonly splices: readonly Splice[];
  readonly model: Data;
  readonly notes: readonly string[];
}

/** An issue in place of a plan where the template has neither role and nobody said that it is meant. */
function planTemplate(
  stream: ManifestStream,
  template: PodTemplate,
  request: InjectRequest,
  recorded: InjectionRecord | undefined,
): Planned | ConfigIssue {
  const pod = readPod(template.spec);
  const choice = choiceFor(template, request.choice);
  const roles = findRoles(pod, template.annotations, choice, recorded?.roles);
  if (isRoleProblem(roles)) {
    const { path, message, hint } = explainRoleProblem(roles);
    const issue = stream.issueAt(template.document, [...template.path, ...path], message, hint);
    if (roles.kind === 'neither' && request.only === undefined) return issue;
    throw new ConfigError([issue]);
  }
  const wrong = templateIssues(stream, template, roles);
  if (wrong.length > 0) throw new ConfigError(wrong);
  const config = request.configFor(template.object.namespace);
  const { settings, kept } = settingsFor(stream, template, request.settings, recorded?.kept ?? {});
  const issues = requirementIssues({ stream, template, pod, roles, config, settings });
  if (issues.length > 0) throw new ConfigError(issues);

  const raw = templateData(template);
  const parts = podAdditions(template, pod, roles, config, settings);
  const env = addedVariables(pod, roles, config);
  const { hash } = findOwnedParts(applyToModel(raw, parts), { roles, env });
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
          env,
          created: created.filter(isNotAnnotation),
          kept,
        }),
      },
    });
    const { created } = plan([...parts, annotation([])]);
    const additions = [...parts, annotation(created)];
    return {
      splices: plan(additions).splices,
      model: applyToModel(raw, additions),
      notes: [...tokenNotes(template), ...profileNotes(config)],
    };
  } catch (error) {
    if (error instanceof CannotInsert) throw new ConfigError([cannotInsert(stream, template, error)]);
    throw error;
  }
}

/** The annotation itself is known by its name and need not be recorded. */
function isNotAnnotation(path: Path): boolean {
  return path.join('/') !== `metadata/annotations/${Annotation.injected}`;
}

/** What is ours by the record alone: fields that are no items of lists, and pull secrets. */
function ownedFields({ spec, metadata }: PodTemplate, { created, kept }: InjectionRecord): Path[] {
  const wasCreated = (path: Path) => created.some((made) => made.join('/') === path.join('/'));
  const token = ['spec', 'automountServiceAccountToken'];
  const label = ['metadata', 'labels', Label.injected];
  const inLabels = [1, 2, 3].some((length) => wasCreated(label.slice(0, length)));
  return [
    ['metadata', 'annotations', Annotation.injected],
    ...(inLabels && asMap(metadata.labels)[Label.injected] === 'true' ? [label] : []),
    ...(wasCreated(token) && spec.automountServiceAccountToken === false ? [token] : []),
    ...asList(spec.imagePullSecrets).flatMap((entry, index): Path[] =>
      kept.imagePullSecrets?.includes(asText(asMap(entry).name) ?? '')
        ? [['spec', 'imagePullSecrets', index]]
        : [],
    ),
  ];
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

function isNamed({ object }: PodTemplate, only: readonly string[] | undefined): boolean {
  const own = `${object.kind}/${object.name}`;
  return only?.some((name) => name.toLowerCase() === own.toLowerCase()) ?? true;
}

function reasonToPass(template: PodTemplate, only: readonly string[] | undefined): string | undefined {
  if (!isNamed(template, only)) return 'not named by --only';
  return String(template.annotations[Annotation.inject]) === 'false'
    ? `annotated ${Annotation.inject}: "false"`
    : undefined;
}

function passedOver(manifests: Manifests, only: readonly string[] | undefined): string[] {
  return [
    ...manifests.found.map(
      ({ object }) => `${objectName(object)} (inject does not know ${object.apiVersion} ${object.kind})`,
    ),
    ...manifests.templates.flatMap((template) => {
      const reason = reasonToPass(template, only);
      return reason === undefined ? [] : `${objectName(template.object)} (${reason})`;
    }),
  ];
}

function nothingFound(file: string, manifests: Manifests, only: readonly string[] | undefined): ConfigIssue {
  const kinds = [...new Set(manifests.objects.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`))];
  if (only !== undefined && manifests.templates.length > 0) {
    const names = manifests.templates.map(({ object }) => `${object.kind}/${object.name}`);
    return wholeFile(file, `has no ${only.join(' or ')} to inject into`, `it has ${names.join(', ')}`);
  }
  return wholeFile(
    file,
    kinds.length === 0 ? 'is empty' : `has no pod template to inject into; it has ${kinds.join(', ')}`,
    `give it one of ${KNOWN_KINDS.join(', ')}, or a List of them`,
  );
}
