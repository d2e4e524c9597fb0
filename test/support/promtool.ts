/** The alerts of deploy/alerts under Prometheus' own rule engine, promtool, with series that a real resolver gave. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

/** Series → number, as one scrape has them. */
export type Scrape = ReadonlyMap<string, number>;

export interface Scenario {
  readonly name: string;
  readonly before: Scrape;
  /** From minute 20 to 60. */
  readonly after: Scrape;
  /** Series that go on growing by as much each minute as between the two scrapes. */
  readonly growing?: RegExp;
  /** Names of the alerts that must fire, and no others may. */
  readonly alerts: readonly string[];
}

export interface Alert {
  readonly alert: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

const RULES = join(import.meta.dirname, '../../deploy/alerts/prometheus-rule.yaml');
const spec = parse(readFileSync(RULES, 'utf8')).spec as { groups: { rules: Alert[] }[] };
export const ALERTS: readonly Alert[] = spec.groups.flatMap(({ rules }) => rules);

/** What keeps promtool from running here. */
export const MISSING_PROMTOOL =
  spawnSync('promtool', ['--version']).status === 0
    ? undefined
    : "install Debian's `prometheus` for promtool";

/** Reads what /metrics answers. */
export function parseScrape(body: string): Map<string, number> {
  return new Map(
    body
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** Throws with promtool's words where an alert that is expected does not fire, or another one does. */
export function expectAlerts(scenarios: readonly Scenario[]): void {
  const tests = scenarios.map((scenario) => ({
    name: scenario.name,
    interval: '1m',
    input_series: inputOf(scenario),
    promql_expr_test: [
      {
        expr: 'group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))',
        eval_time: '1h',
        exp_samples: scenario.alerts.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
      },
    ],
  }));
  const files = { rules: spec, test: { rule_files: ['rules.yaml'], evaluation_interval: '1m', tests } };
  promtool(files, 'check', 'rules', 'rules.yaml');
  promtool(files, 'test', 'rules', 'test.yaml');
}

/** Throws where Prometheus does not take one of these as an expression. */
export function expectExpressions(expressions: readonly string[]): void {
  const rules = expressions.map((expr, at) => ({ record: `panel:${at}`, expr }));
  promtool({ rules: { groups: [{ name: 'panels', rules }] } }, 'check', 'rules', 'rules.yaml');
}

/** Runs promtool in a folder with these files; throws with what it says where it fails. */
function promtool(files: Readonly<Record<string, unknown>>, ...words: readonly string[]): void {
  const cwd = mkdtempSync(join(tmpdir(), 'msr-alerts-'));
  try {
    for (const [name, data] of Object.entries(files))
      writeFileSync(join(cwd, `${name}.yaml`), stringify(data));
    const { status, stdout, stderr } = spawnSync('promtool', words, { cwd, encoding: 'utf8' });
    if (status !== 0) throw new Error(stdout + stderr);
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

/** What promtool finds wrong with a page of metrics. */
export function metricFaults(page: string): string {
  return spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' }).stderr;
}

function inputOf({ before, after, growing }: Scenario) {
  const names = [...new Set([...before.keys(), ...after.keys()])].filter((name) => !name.includes('_bucket'));
  return names.map((name) => {
    const [from, to] = [before.get(name), after.get(name)];
    const step = growing?.test(name) ? (to ?? 0) - (from ?? 0) : 0;
    const part = (value: number | undefined, each: number, count: number) =>
      value === undefined ? `_x${count}` : `${value}+${each}x${count - 1}`;
    return { series: scraped(name), values: `${part(from, 0, 20)} ${part(to, step, 40)}` };
  });
}

/** With the labels that Prometheus adds to what it scrapes. */
function scraped(series: string): string {
  const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(series) ?? [];
  const own = labels === '' ? [] : [labels];
  return `${name}{${[...own, 'namespace="agents"', 'pod="agent"'].join(',')}}`;
}
