/** The chart as the program `helm` renders it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { parseAllDocuments, stringify } from 'yaml';
import { buildGo } from '../admission/api-server.ts';

export const CLUSTER_WIDE = /^(Namespace|Cluster.*|.*AdmissionPolicy(Binding)?|CustomResourceDefinition)$/;
export const CHART = join(import.meta.dirname, '../../deploy/chart');

// biome-ignore lint/suspicious/noExplicitAny: manifests of any kind
export type Manifest = any;

export interface Rendered {
  readonly exitCode: number;
  /** What helm said, without its lines about symbolic links. */
  readonly errors: string;
  readonly text: string;
  readonly objects: readonly Manifest[];
}

/** Labels that only a release has. */
const RELEASE_LABELS = ['app.kubernetes.io/instance', 'app.kubernetes.io/managed-by', 'helm.sh/chart'];

export class Helm implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'helm-'));
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  static async build(): Promise<Helm> {
    return new Helm(await buildGo('helm.sh/helm/v4/cmd/helm', 'helm', import.meta.dirname));
  }

  async run(...args: readonly string[]): Promise<Rendered> {
    // No cluster, plugin or setting of this machine.
    const env = { HOME: this.folder, PATH: process.env.PATH ?? '', KUBECONFIG: '/dev/null' };
    const { stdout, stderr, exitCode } = await execa(this.#program, args, {
      env,
      extendEnv: false,
      reject: false,
      stripFinalNewline: false,
    });
    const errors = stderr
      .split('\n')
      .filter((line) => line !== '' && !line.includes('found symbolic link in path'))
      .join('\n');
    return { exitCode: exitCode ?? -1, errors, text: stdout, objects: [] };
  }

  /** Path of a file with these values. */
  values(values: object): string {
    const file = join(this.folder, 'values.yaml');
    writeFileSync(file, stringify(values));
    return file;
  }

  async template(values: object = {}, namespace = 'agents'): Promise<Rendered> {
    const args = ['--namespace', namespace, '--values', this.values(values)];
    const rendered = await this.run('template', 'resolver', CHART, ...args);
    return { ...rendered, objects: objectsOf(rendered.text) };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** The objects of a stream by kind and name, as they are without a release. */
export function objectsOf(text: string): Manifest[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS())
    .filter((object) => object !== null)
    .map((object) => {
      for (const label of RELEASE_LABELS) delete object.metadata.labels?.[label];
      return object;
    })
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

export function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.name}`;
}

export const isTest = ({ metadata }: Manifest): boolean => metadata.annotations?.['helm.sh/hook'] === 'test';

/** Writes the files that the pod of `helm test` mounts into a folder, and returns that volume. */
export function writeConfiguration(objects: readonly Manifest[], folder: string): Manifest {
  const [volume] = objects.find(isTest).spec.volumes;
  for (const { configMap } of volume.projected.sources) {
    const { data } = objects.find((object) => nameOf(object) === `ConfigMap ${configMap.name}`);
    for (const { key, path } of configMap.items) {
      const file = join(folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, data[key]);
    }
  }
  return volume;
}
