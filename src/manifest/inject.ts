/**
 * Injects the resolver into every pod template of a stream, or takes it out. Neither writes anything: both return
 * text, or throw {@link ConfigError} with everything that is wrong. Both check their own work before they return
 * it, so that a defect here ends in an error and never in a half-injected manifest.
 */
import type { Config } from '../config/config.ts';
import { collecting } from '../config/read.ts';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { withAdditions } from './additions.ts';
import { asList, asMap, asText, type Path, startsWith } from './data.ts';
import { planInsertions } from './insert.ts';
import {
  findManifests,
  issueAt,
  KNOWN_KINDS,
  type Manifests,
  objectName,
  type PodTemplate,
} from './kinds.ts';
import { Annotation, Label, RESOLVER, VOLUME_PREFIX } from './names.ts';
import {
  findOwnedParts,
  formatRecord,
  type InjectionRecord,
  type OwnedParts,
  readRecord,
} from './ownership.ts';
import { type Pod, readPod } from './pod.ts';
import { planRemovals, rollUp, withoutParts } from './remove.ts';
import { profileNotes, requirementIssues, templateIssues, tokenNotes } from './requirements.ts';
import { choiceFor, findRoles, isRoleProblem, type RoleChoice, type Roles } from './roles.ts';
import { settingsFor } from './settings.ts';
import { addedVariables, podAdditions } from './sidecar.ts';
import type { InjectionSettings, Situation } from './situation.ts';
import { parseStream, wholeFile } from './stream.ts';
import { applySplices } from './text.ts';
import { defect, type Edit, endedText, verify } from './verify.ts';

const ANNOTATION: Path = ['metadata', 'annotations', Annotation.injected];

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
  const { file, only } = request;
  const bare = takeOut(request);
  const notes: string[] = [];
  const strangers: { template: PodTemplate; issue: ConfigIssue }[] = [];
  const plan = (template: PodTemplate, text: string, index: number): Edit | undefined => {
    if (reasonToPass(template, only) !== undefined) return undefined;
    // Roles that an earlier injection recorded are in the text as it came.
    const recorded = readRecord(bare.manifests.templates[index]?.annotations ?? {});
    const record = recorded === 'unreadable' ? undefined : recorded;
    const pod = readPod(template.spec);
    const roles = findRoles(pod, template.annotations, choiceFor(template, request.choice), record?.roles);
    if (!isRoleProblem(roles)) return planTemplate(template, text, pod, roles, request, record, notes);
    const issue = issueAt(template, roles.path, roles.message, roles.hint);
    if (roles.kind !== 'neither' || only !== undefined) throw new ConfigError([issue]);
    strangers.push({ template, issue });
    return undefined;
  };
  // A database beside the sandbox is passed by; a stream of nothing else is a mistake.
  const { text, manifests, done } = rewrite(file, bare.text, plan, (found) =>
    strangers.length > 0 ? strangers.map(({ issue }) => issue) : [nothingFound(file, found, only)],
  );
  const back = takeOut({ ...request, text, replaceEdited: false }).text;
  if (back !== bare.text) throw new ConfigError([defect(file, 'taking it out again')]);
  const passed = [
    ...passedOver(manifests, only),
    ...strangers.map(
      ({ template }) => `${objectName(template.object)} (has neither an agent nor a supervisor)`,
    ),
  ];
  return { text, done, passed, notes };
}

type UninjectRequest = Pick<InjectRequest, 'file' | 'text' | 'replaceEdited' | 'only'>;

/** Returns the stream without what an injection added. Text without an injection is returned as it is. */
export function uninject(request: UninjectRequest): Rewritten {
  const { text, manifests, done } = takeOut(request);
  return { text, done, passed: passedOver(manifests, request.only), notes: [] };
}

function takeOut({ file, text, replaceEdited, only }: UninjectRequest): Edited {
  return rewrite(file, text, (template, source) => {
    if (!isNamed(template, only)) return undefined;
    const record = readRecord(template.annotations);
    const known = record === 'unreadable' ? undefined : record;
    const owned = findOwnedParts(template.data, known);
    const issue = ownershipIssue(template, owned, record, replaceEdited);
    if (issue !== undefined) throw new ConfigError([issue]);
    if (known === undefined) return undefined;
    const named = [...owned.items, ...ownedFields(template, known)];
    const parts = rollUp(template.data, named, known.created);
    return { splices: planRemovals(source, template, parts), model: withoutParts(template, parts) };
  });
}

interface Edited {
  readonly text: string;
  /** Of the text as it was. */
  readonly manifests: Manifests;
  readonly done: readonly string[];
}

/** Edits the templates for which there is a plan. Throws {@link ConfigError} with everything that is wrong. */
function rewrite(
  file: string,
  text: string,
  plan: (template: PodTemplate, text: string, index: number) => Edit | undefined,
  ofNothing: (manifests: Manifests) => ConfigIssue[] = () => [],
): Edited {
  const source = endedText(file, text);
  const manifests = findManifests(parseStream(file, source.text));
  const issues: ConfigIssue[] = [...manifests.issues];
  const edits = new Map<PodTemplate, Edit>();
  manifests.templates.forEach((template, index) => {
    const edit = collecting(issues, () => plan(template, source.text, index));
    if (edit !== undefined) edits.set(template, edit);
  });
  if (edits.size === 0 && issues.length === 0) issues.push(...ofNothing(manifests));
  if (issues.length > 0) throw new ConfigError(issues);
  const splices = [...edits.values()].flatMap((edit) => edit.splices);
  const edited = source.restore(applySplices(source.text, splices));
  verify(file, edited, manifests, edits);
  return { text: edited, manifests, done: [...edits.keys()].map(({ object }) => objectName(object)) };
}

function planTemplate(
  template: PodTemplate,
  text: string,
  pod: Pod,
  roles: Roles,
  request: InjectRequest,
  recorded: InjectionRecord | undefined,
  notes: string[],
): Edit {
  const wrong = [...templateIssues(template, roles)];
  if (wrong.length > 0) throw new ConfigError(wrong);
  const config = request.configFor(template.object.namespace);
  const { settings, kept } = settingsFor(template, request.settings, recorded?.kept ?? {});
  const situation: Situation = { template, pod, roles, config, settings };
  const issues = requirementIssues(situation);
  if (issues.length > 0) throw new ConfigError(issues);

  const parts = podAdditions(situation);
  const env = addedVariables(situation);
  const { hash } = findOwnedParts(withAdditions(template.data, parts).model, { roles, env });
  const withRecord = (created: readonly Path[]) => {
    const value = formatRecord({ version: request.version, hash, roles, env, created, kept });
    return withAdditions(template.data, [...parts, { to: ANNOTATION, value }]);
  };
  // The annotation names the fields that were created, those around it among them: hence two rounds.
  const created = withRecord([]).created.filter((path) => !startsWith(path, ANNOTATION));
  const { model } = withRecord(created);
  notes.push(...tokenNotes(template), ...profileNotes(config));
  return { splices: planInsertions(text, template, model), model };
}

/** What is ours by the record alone: fields that are no items of lists, and pull secrets. */
function ownedFields({ spec, metadata }: PodTemplate, { created, kept }: InjectionRecord): Path[] {
  const wasCreated = (path: Path) => created.some((made) => made.join('/') === path.join('/'));
  const token = ['spec', 'automountServiceAccountToken'];
  const label = ['metadata', 'labels', Label.injected];
  const inLabels = [1, 2, 3].some((length) => wasCreated(label.slice(0, length)));
  return [
    ANNOTATION,
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
  template: PodTemplate,
  owned: OwnedParts,
  record: InjectionRecord | 'unreadable' | undefined,
  replaceEdited: boolean,
): ConfigIssue | undefined {
  const [first] = owned.items;
  if (record === 'unreadable') {
    const hint = `take out the annotation and everything named ${RESOLVER} or ${VOLUME_PREFIX}*, then inject again`;
    return issueAt(template, ANNOTATION, 'is not what inject writes there', hint);
  }
  if (record === undefined) {
    if (first === undefined) return undefined;
    const message = `has a name that inject gives, and was not made by it: ${RESOLVER} and ${VOLUME_PREFIX}* are ours`;
    return issueAt(template, first, message, 'rename it or take it out');
  }
  if (record.hash === owned.hash || replaceEdited) return undefined;
  return issueAt(
    template,
    first ?? ANNOTATION,
    'what was injected has been changed since',
    '--replace-edited drops the changes; keep them by a patch that is applied after inject',
  );
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
