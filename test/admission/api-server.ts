/** The admission chain and the pod validation of a Kubernetes API server, as a program in Go: see main.go. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { parse, stringify } from 'yaml';
import { find } from '../support/podman.ts';
import { describeIf } from '../support/root.ts';

const POLICIES = join(import.meta.dirname, '../../deploy/policies');
/** Outside the repository, so that a build that is up to date costs a second. */
const PROGRAMS = join(homedir(), '.cache/mounted-secret-resolver/test-admission');
/** A first build compiles a thousand packages of Kubernetes. In milliseconds. */
export const BUILD_TIMEOUT_MS = 1_200_000;

export interface PodObject {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: {
    readonly name?: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface Answer {
  /** As it would be stored, had nobody refused it; undefined where a mutating plugin refused it. */
  readonly object?: PodObject;
  /** What the validation of pods finds, policies aside. */
  readonly invalid?: string;
  /** Why a policy refused it: what kubectl shows. */
  readonly denied?: string;
  /** Every reason of every validating policy. */
  readonly warnings: readonly string[];
}

export interface Change {
  readonly old?: PodObject;
  readonly subresource?: 'ephemeralcontainers';
}

/** The tool of the module in this folder. */
export const KUSTOMIZE = ['sigs.k8s.io/kustomize/kustomize/v5', 'kustomize'] as const;

/** Returns the path of a program that the module of a folder, of this one unless given, has, or has as a tool. */
export async function buildGo(packagePath: string, name: string, cwd = import.meta.dirname): Promise<string> {
  mkdirSync(PROGRAMS, { recursive: true });
  const program = join(PROGRAMS, name);
  // One build for all test files that start at the same time.
  await execa('flock', [`${program}.lock`, 'go', 'build', '-ldflags=-s -w', '-o', program, packagePath], {
    cwd,
    // A Go that is older than go.mod asks for fetches that release.
    env: { GOTOOLCHAIN: 'auto' },
    timeout: BUILD_TIMEOUT_MS,
  });
  return program;
}

/** The objects that `kubectl apply -k` would apply. */
export async function kustomize(folder: string): Promise<string> {
  const program = await buildGo(...KUSTOMIZE);
  return (await execa(program, ['build', folder])).stdout;
}

/** A suite that needs the program. */
export function describeWithApiServer(name: string, body: () => void): void {
  describeIf(
    `${name} (by the API server's own code)`,
    find('go') === undefined ? 'install Go; nothing else evaluates deploy/policies' : undefined,
    body,
  );
}

/** The files that `kubectl apply -k deploy/policies` applies. */
export function deployedPolicies(folder = POLICIES): string[] {
  const { resources } = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8'));
  return resources.map((file: string) => readFileSync(join(folder, file), 'utf8'));
}

export function namespace(name: string, metadata: object = {}): string {
  return stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...metadata } });
}

/** Metadata of a namespace whose pods may say by annotation who is who. */
export const ANNOTATED_ROLES = { labels: { 'secret-resolver/annotated-roles': 'true' } };

export function configMap(name: string, of: string, data: Readonly<Record<string, string>>): string {
  return stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: of }, data });
}

export class ApiServer implements Disposable {
  /** What the API server finds wrong with the policies. */
  readonly problems: readonly string[];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    child: ChildProcessWithoutNullStreams,
    lines: AsyncIterator<string>,
    problems: readonly string[],
  ) {
    this.#child = child;
    this.#lines = lines;
    this.problems = problems;
  }

  /** Starts one whose cluster holds the objects of these manifests. */
  static async start(manifests: readonly string[]): Promise<ApiServer> {
    const child = spawn(await buildGo('.', 'api-server'));
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stdin.on('error', () => {});
    child.stdin.write(`${JSON.stringify({ manifests })}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`the program in test/admission ended:\n${log}`);
    return new ApiServer(child, lines, JSON.parse(value).problems ?? []);
  }

  /** Creates a pod, or changes one. Requests are answered one after the other. */
  request(object: PodObject, change: Change = {}): Promise<Answer> {
    const answer = this.#last.then(async () => {
      this.#child.stdin.write(`${JSON.stringify({ object, ...change })}\n`);
      const { value, done } = await this.#lines.next();
      if (done) throw new Error('the program in test/admission ended');
      return JSON.parse(value) as Answer;
    });
    this.#last = answer.catch(() => {});
    return answer;
  }

  [Symbol.dispose](): void {
    this.#child.stdin.end();
  }
}

/** The ids of the rules that the policy of this name has against a pod. */
export function rulesOf({ warnings }: Answer, policy = 'secret-resolver-boundary'): string[] {
  const begin = new RegExp(
    `^Validation failed for ValidatingAdmissionPolicy '${policy}' with binding '[^']*': `,
  );
  return [
    ...new Set(
      warnings
        .filter((text) => begin.test(text))
        .map((text) => text.replace(begin, '').split(':')[0] as string),
    ),
  ].sort();
}
