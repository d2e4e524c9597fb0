/** Findings with their places: what `lint` prints and what `inject` must not leave behind. */
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { collecting } from '../config/read.ts';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { type Data, type Path, pathName } from './data.ts';
import {
  findManifests,
  isExternalSecret,
  type ManifestObject,
  type Manifests,
  objectName,
  type PodTemplate,
} from './kinds.ts';
import { Annotation, RESOLVER } from './names.ts';
import { findOwnedParts, readRecord } from './ownership.ts';
import { type Pod, readPod, resolverSecrets } from './pod.ts';
import { choiceFor, findRoles, isRoleProblem, type RoleChoice, type Roles } from './roles.ts';
import type { Fault, PodSubject, Rule, Severity } from './rule.ts';
import { agentOf } from './situation.ts';
import { parseStream, wholeFile } from './stream.ts';

/** Severities, worst first. */
export const SEVERITIES = ['error', 'warning', 'note'] as const satisfies readonly Severity[];

export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  /** `Sandbox demo`. */
  readonly object: string;
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  /** From the document's root: `spec.podTemplate.spec.hostPID`. */
  readonly path: string;
  readonly message: string;
  readonly why: string;
  readonly remedy: string;
}

export interface LintInput {
  /** As it is named in messages. */
  readonly file: string;
  readonly text: string;
  /** One of the files of a folder, which may hold nothing but comments. */
  readonly ofFolder?: boolean;
}

export interface LintOptions {
  readonly choice: RoleChoice;
  /** The image that resolvers are to have; undefined where the command line does not say. */
  readonly image?: string | undefined;
  readonly rules: readonly Rule[];
}

export interface LintResult {
  readonly findings: readonly Finding[];
  /** What was looked at: pod templates with a resolver, Secrets and ExternalSecrets. */
  readonly checked: readonly string[];
  /** Pod templates that were not, each with the reason. */
  readonly passed: readonly string[];
  /** What cannot be read. Nothing is known about the file that it is in. */
  readonly errors: readonly ConfigIssue[];
}

/** Applies every rule to one stream. Throws {@link ConfigError} where it cannot be read. */
export function lint(request: LintInput & LintOptions): LintResult {
  const result = lintAll([request], request);
  if (result.errors.length > 0) throw new ConfigError(result.errors);
  return result;
}

interface Checked {
  readonly manifests: Manifests;
  /** Pods with a resolver, and the other templates. */
  readonly pods: readonly PodSubject[];
  readonly others: readonly PodTemplate[];
}

/** Applies every rule to several streams, which are one: a Secret of one may be read by a pod of another. */
export function lintAll(inputs: readonly LintInput[], options: LintOptions): LintResult {
  const errors: ConfigIssue[] = [];
  const nothing = (file: string) =>
    wholeFile(file, 'has no Kubernetes object', 'check what was to write it: nothing was checked');
  const all = inputs.flatMap(({ file, text, ofFolder }) => {
    const manifests = collecting(errors, () => findManifests(parseStream(file, text)));
    if (manifests === undefined) return [];
    errors.push(...manifests.issues);
    if (manifests.issues.length > 0) return [];
    if (manifests.objects.length === 0 && !ofFolder) errors.push(nothing(file));
    return checkedOf(manifests, options);
  });
  const objects = all.flatMap(({ manifests }) => manifests.objects);
  if (objects.length === 0 && errors.length === 0) errors.push(nothing(inputs[0]?.file ?? ''));
  const pods = all.flatMap((each) => each.pods);
  return {
    findings: all.flatMap((each) =>
      [
        ...each.pods.flatMap((pod) => podFindings(pod, objects, options.rules)),
        ...each.manifests.objects.flatMap((object) =>
          objectFindings(object, each, objects, pods, options.rules),
        ),
      ].sort((a, b) => a.line - b.line || a.column - b.column),
    ),
    checked: [
      ...pods.map(({ template }) => objectName(template.object)),
      ...objects.filter((object) => isExternalSecret(object) || object.kind === 'Secret').map(objectName),
    ],
    passed: all.flatMap(({ others }) =>
      others.map(({ object }) => `${objectName(object)} (has no container ${RESOLVER})`),
    ),
    errors,
  };
}

function checkedOf(manifests: Manifests, options: LintOptions): Checked {
  const pods: PodSubject[] = [];
  const others: PodTemplate[] = [];
  for (const template of [...manifests.templates, ...manifests.found]) {
    const subject = podSubject(template, options);
    if (subject === undefined) others.push(template);
    else pods.push(subject);
  }
  return { manifests, pods, others };
}

/** Undefined where the pod has no resolver. Roles that nobody names are left empty: rules that need them say nothing. */
function podSubject(template: PodTemplate, options: LintOptions): PodSubject | undefined {
  const pod = readPod(template.spec);
  if (pod.resolver === undefined) return undefined;
  const choice = choiceFor(template, options.choice);
  const record = readRecord(template.annotations);
  const recorded = record === 'unreadable' ? undefined : record;
  const roles = knownRoles(pod, template.annotations, choice, recorded?.roles);
  const intact = recorded?.hash === findOwnedParts({ spec: template.spec }, recorded).hash;
  const said = knownRoles(pod, {}, choice, intact ? recorded.roles : undefined);
  return {
    pod,
    resolver: pod.resolver,
    template,
    image: options.image,
    roles,
    annotatedRoles: !isDeepStrictEqual(said, roles),
    agent: agentOf({ pod, roles }),
    secrets: resolverSecrets(pod),
    parseYaml: (text) => parse(text, { logLevel: 'silent' }),
  };
}

/** Empty where they cannot be found. */
function knownRoles(pod: Pod, annotations: Data, choice: RoleChoice, recorded?: Roles): Roles {
  const strict = findRoles(pod, annotations, choice, recorded);
  // A pod without an agent still has a supervisor.
  const found =
    isRoleProblem(strict) && strict.kind === 'no-agent'
      ? findRoles(pod, annotations, { ...choice, noAgent: true }, recorded)
      : strict;
  return isRoleProblem(found) ? { agent: undefined, supervisors: [] } : found;
}

function podFindings(subject: PodSubject, all: readonly ManifestObject[], rules: readonly Rule[]): Finding[] {
  const { template } = subject;
  const bases = { spec: template.specPath, template: template.path, object: template.object.path };
  return rules.flatMap((rule) => {
    const faults = rule.about === 'object' ? [] : [...rule.find(subject, all)];
    return faults.map((fault) =>
      finding(template.object, [...bases[fault.from ?? 'spec'], ...fault.path], rule, fault),
    );
  });
}

function objectFindings(
  object: ManifestObject,
  { manifests, others }: Checked,
  all: readonly ManifestObject[],
  pods: readonly PodSubject[],
  rules: readonly Rule[],
): Finding[] {
  // Without a resolver in the stream nobody can say which Secrets it reads, so all are looked at.
  const isRead = (secret: string) => pods.length === 0 || pods.some(({ secrets }) => secrets.has(secret));
  const unclear = manifests.unclear.filter((place) => place.object === object).map(({ path }) => path);
  const orphaned = others
    .filter((each) => each.object === object && Annotation.injected in each.annotations)
    .map(({ path }) => [...path.slice(object.path.length), 'metadata', 'annotations', Annotation.injected]);
  return rules.flatMap((rule) => {
    const faults = rule.about === 'object' ? [...rule.find({ object, all, isRead, unclear, orphaned })] : [];
    return faults.map((fault) => finding(object, [...object.path, ...fault.path], rule, fault));
  });
}

function finding(object: ManifestObject, path: Path, rule: Rule, fault: Fault): Finding {
  return {
    rule: rule.id,
    severity: fault.severity ?? rule.severity,
    object: objectName(object),
    file: object.document.file,
    ...object.document.placeOf(path),
    path: pathName(path),
    message: fault.message,
    why: rule.why,
    remedy: rule.remedy,
  };
}

/** Whether a finding is as bad as `limit`, or worse. */
export function isAtLeast(severity: Severity, limit: Severity): boolean {
  return SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(limit);
}
