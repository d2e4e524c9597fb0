/** The tables of docs/scale.md. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { between } from '../generate/between.ts';
import { type Fleet, INPUTS, nodesOf, secretsOf, simulateWaves, type Wave, watchesOf } from './model.ts';

const ROOT = join(import.meta.dirname, '../..');
const FILE = 'docs/scale.md';
const SIZES = [1_000, 10_000] as const;
/** Waves of one shared Secret, whose single refresh comes at a random moment; of a Secret for each pod one holds them all. */
const WAVES = { shared: 100, own: 3 } as const;

const DEFAULTS = { workers: 1, qps: INPUTS.esoQps } as const;
const FLEETS: readonly Fleet[] = [
  { pods: 1_000, secrets: 'shared', ...DEFAULTS },
  { pods: 1_000, secrets: 'own', ...DEFAULTS },
  { pods: 10_000, secrets: 'shared', ...DEFAULTS },
  { pods: 10_000, secrets: 'own', ...DEFAULTS },
  { pods: 10_000, secrets: 'own', workers: 10, qps: INPUTS.esoQps },
  { pods: 10_000, secrets: 'own', workers: 10, qps: 2 * INPUTS.esoQps },
];

const number = (value: number, digits = 0): string =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const small = (value: number): string => (value < 10 ? String(Number(value.toPrecision(2))) : number(value));
const gib = (mib: number): string => `${number(mib / 1024, mib < 10_240 ? 1 : 0)} GiB`;
const named = ({ secrets }: Pick<Fleet, 'secrets'>): string =>
  secrets === 'own' ? 'one each' : 'one shared';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}

function bill(): string {
  const row = (name: string, figure: (pods: number) => string) => [
    name,
    figure(1),
    ...SIZES.map((pods) => figure(pods)),
  ];
  const memory = (mib: number) => (pods: number) => (pods === 1 ? `${number(mib)} MiB` : gib(pods * mib));
  return table(
    ['', 'a pod', ...SIZES.map((pods) => `${number(pods)} pods, ${nodesOf(pods)} nodes`)],
    [
      row('resolvers, memory used', memory(INPUTS.resolverMiB)),
      row('resolvers, memory requested', memory(INPUTS.requestedMiB)),
      row('with kit and Envoy, used after load', memory(INPUTS.withEnvoyMiB)),
      row('with kit and Envoy, requested', memory(3 * INPUTS.requestedMiB)),
      row('resolvers, cores used at rest', (pods) =>
        String(Number((pods * INPUTS.idleCores).toPrecision(2))),
      ),
      row('resolvers, cores requested', (pods) => number(pods * INPUTS.requestedCores, pods === 1 ? 1 : 0)),
    ],
  );
}

function waves(): string {
  const row = (fleet: Fleet): string[] => {
    const wave: Wave = simulateWaves(fleet, WAVES[fleet.secrets]);
    const seconds = ({ p50, p99 }: Wave['fromStore']) => `${number(p50)}, ${number(p99)} s`;
    return [
      number(fleet.pods),
      named(fleet),
      `${fleet.workers}, ${fleet.qps}`,
      number(wave.writes),
      number(wave.events),
      number(wave.peak),
      `${number(wave.lastWrite)} s`,
      seconds(wave.fromSecret),
      seconds(wave.fromStore),
    ];
  };
  return table(
    [
      'pods',
      'Secrets',
      'ESO: workers, QPS',
      'writes',
      'events',
      'peak, 1/s',
      'last write',
      'Secret → supervisor p50, p99',
      'store → supervisor p50, p99',
    ],
    FLEETS.map(row),
  );
}

function steady(): string {
  const row = (fleet: Pick<Fleet, 'pods' | 'secrets'>): string[] => {
    const secrets = secretsOf(fleet);
    const vault = (calls: number) => small((secrets * calls) / INPUTS.refreshSeconds);
    const liveMiB = (2 * secrets * INPUTS.objectKiB) / 1024;
    return [
      number(fleet.pods),
      named(fleet),
      number(watchesOf(fleet)),
      small(watchesOf(fleet) / INPUTS.watchSeconds),
      small(secrets / INPUTS.refreshSeconds),
      `${vault(INPUTS.vaultCalls)}, ${vault(INPUTS.vaultCallsCached)}`,
      `${small(liveMiB)} MiB`,
    ];
  };
  return table(
    [
      'pods',
      'Secrets',
      'watches of kubelets',
      'renewals, 1/s',
      'writes of ESO, 1/s',
      'calls to Vault, 1/s: default, token cache',
      'etcd',
    ],
    SIZES.flatMap((pods) => (['shared', 'own'] as const).map((secrets) => row({ pods, secrets }))),
  );
}

/** Pods a node from which one process for the node takes less memory than a sidecar each. */
const breakEven = (mib: number): number => Math.floor(mib / INPUTS.resolverMiB) + 1;

function designs(): string {
  const perPod = (mib: number) => SIZES.map((pods) => gib(pods * mib));
  const perNode = (mib: number) => SIZES.map((pods) => gib(nodesOf(pods) * mib));
  return table(
    ['', 'unit', ...SIZES.map((pods) => `${number(pods)} pods`), 'less than sidecars from'],
    [
      ['sidecar in each pod', `${number(INPUTS.resolverMiB)} MiB a pod`, ...perPod(INPUTS.resolverMiB), ''],
      [
        'node agent: our process, credentials of 30 pods',
        `${number(INPUTS.nodeAgentMiB)} MiB a node`,
        ...perNode(INPUTS.nodeAgentMiB),
        `${breakEven(INPUTS.nodeAgentMiB)} pods a node`,
      ],
      [
        'Secrets Store CSI driver, without its provider',
        `${number(INPUTS.csiMiB)} MiB a node`,
        ...perNode(INPUTS.csiMiB),
        `${breakEven(INPUTS.csiMiB)} pods a node`,
      ],
    ],
  );
}

const TABLES = { cost: bill, rotation: waves, rest: steady, designs } as const;

export function tables(): string {
  return Object.values(TABLES)
    .map((make) => make())
    .join('\n');
}

/** docs/scale.md as it should be. */
export function scaleFiles(): ReadonlyMap<string, string> {
  let text = readFileSync(join(ROOT, FILE), 'utf8');
  for (const [name, make] of Object.entries(TABLES)) {
    const begin = `<!-- begin: ${name}, generated by npm run generate -->\n`;
    text = between(text, begin, `<!-- end: ${name} -->`, `\n${make()}\n`);
  }
  return new Map([[FILE, text]]);
}
