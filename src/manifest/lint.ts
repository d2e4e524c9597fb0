/** Findings with their places: what `lint` prints and what `inject` must not leave behind. */
import { ConfigError } from '../domain/errors.ts';
import { canonicalJson, type Data } from './data.ts';
import { findManifests, type ManifestObject, type Manifests, objectName, type PodTemplate } from './kinds.ts';
import { RESOLVER } from './names.ts';
import { findOwnedParts, readRecord } from './ownership.ts';
import { type Pod, readPod, resolverSecrets } from './pod.ts';
import { findRoles, isRoleProblem, type RoleChoice, type Roles } from './roles.ts';
import type { Fault, PodSubject, Rule, Severity } from './rule.ts';
import { type ManifestStream, type Path, parseStream, pathName } from './stream.ts';

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

export interface LintRequest {
  readonly file: string;
  readonly text: string;
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
}

/** Applies the rules to a stream. Throws {@link ConfigError} where the stream cannot be read. */
export function lint(request: LintRequest): LintResult {
  const stream = parseStream(request.file, request.text);
  const manifests = findManifests(stream);
  if (manifests.issues.length > 0) throw new ConfigError(manifests.issues);
  const { rules } = request;
  const subjects = manifests.templates.map((template) => ({
    template,
    subject: podSubject(template, request),
  }));
  const findings = [
    ...subjects.flatMap(({ template, subject }) =>
      subject === undefined ? [] : podFindings(stream, template, subject, manifests.objects, rules),
    ),
    ...objectFindings(
      stream,
      manifests,
      subjects.flatMap(({ subject }) => subject ?? []),
      rules,
    ),
  ];
  return {
    findings: findings.sort((a, b) => a.line - b.line || a.column - b.column),
    checked: [
      ...subjects.flatMap(({ template, subject }) =>
        subject === undefined ? [] : objectName(template.object),
      ),
      ...manifests.objects
        .filter(({ kind }) => kind === 'ExternalSecret' || kind === 'Secret')
        .map(objectName),
    ],
    passed: [
      ...subjects.flatMap(({ template, subject }) =>
        subject === undefined ? `${objectName(template.object)} (has no container ${RESOLVER})` : [],
      ),
      ...manifests.unknown.map((object) => `${objectName(object)} (its kind is not known here)`),
    ],
  };
}

/** Undefined where the pod has no resolver. Roles that nobody names are left empty: rules that need them say nothing. */
function podSubject(template: PodTemplate, { choice, image }: LintRequest): PodSubject | undefined {
  const pod = readPod(template.spec);
  if (pod.resolver === undefined) return undefined;
  const record = readRecord(template.annotations);
  const recorded = record === undefined || record === 'unreadable' ? {} : record.roles;
  const roles = knownRoles(pod, template.annotations, choice, recorded);
  const intact = typeof record === 'object' && record.hash === findOwnedParts({ spec: template.spec }).hash;
  const said = knownRoles(pod, {}, choice, intact ? record.roles : {});
  return {
    pod,
    resolver: pod.resolver,
    template,
    image,
    roles,
    annotatedRoles: canonicalJson(said) !== canonicalJson(roles),
    agent: pod.containers.find(({ name }) => name === roles.agent),
    combined: roles.agent !== undefined && roles.supervisors.includes(roles.agent),
    secrets: resolverSecrets(pod),
  };
}

/** Empty where they cannot be found. */
function knownRoles(pod: Pod, annotations: Data, choice: RoleChoice, recorded: Partial<Roles>): Roles {
  const strict = findRoles(pod, annotations, choice, recorded);
  // A pod without an agent still has a supervisor.
  const found =
    isRoleProblem(strict) && strict.kind === 'no-agent'
      ? findRoles(pod, annotations, { ...choice, noAgent: true }, recorded)
      : strict;
  return isRoleProblem(found) ? { agent: undefined, supervisors: [] } : found;
}

function podFindings(
  stream: ManifestStream,
  template: PodTemplate,
  subject: PodSubject,
  all: readonly ManifestObject[],
  rules: readonly Rule[],
): Finding[] {
  const bases = {
    spec: [...template.path, 'spec'],
    template: template.path,
    object: template.object.path,
  };
  return rules.flatMap((rule) =>
    rule.about === 'pod'
      ? [...rule.find(subject, all)].map((fault) =>
          finding(stream, template, [...bases[fault.from ?? 'spec'], ...fault.path], rule, fault),
        )
      : [],
  );
}

function objectFindings(
  stream: ManifestStream,
  manifests: Manifests,
  subjects: readonly PodSubject[],
  rules: readonly Rule[],
): Finding[] {
  // Without a resolver in the stream nobody can say which Secrets it reads, so all are looked at.
  const isRead = (secret: string) =>
    subjects.length === 0 || subjects.some(({ secrets }) => secrets.has(secret));
  return manifests.objects.flatMap((object) =>
    rules.flatMap((rule) =>
      rule.about === 'object'
        ? [...rule.find({ object, all: manifests.objects, isRead })].map((fault) =>
            finding(
              stream,
              { object, document: object.document },
              [...object.path, ...fault.path],
              rule,
              fault,
            ),
          )
        : [],
    ),
  );
}

function finding(
  stream: ManifestStream,
  at: Pick<PodTemplate, 'object' | 'document'>,
  path: Path,
  rule: Rule,
  fault: Fault,
): Finding {
  return {
    rule: rule.id,
    severity: fault.severity ?? rule.severity,
    object: objectName(at.object),
    file: stream.file,
    ...stream.placeOf(at.document, path),
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
