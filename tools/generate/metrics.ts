/** docs/reference/metrics.md: each metric, and the alerts of deploy/alerts that use it. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { LAG_BUCKETS, METRICS } from '../../src/observe/metrics.ts';
import { code, inline, table } from './markdown.ts';

const ALERTS = 'deploy/alerts/prometheus-rule.yaml';

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook_url: string };
}

export function metricFiles(): ReadonlyMap<string, string> {
  const { spec } = parse(readFileSync(join(import.meta.dirname, '../..', ALERTS), 'utf8')) as {
    readonly spec: { readonly groups: readonly { readonly rules: readonly Alert[] }[] };
  };
  const alerts = spec.groups.flatMap(({ rules }) => rules);
  const rows = Object.values(METRICS).map(({ name, type, labels, help }) => [
    code(name),
    type,
    labels.map(code).join(', '),
    inline(help),
    alerts
      .filter(({ expr }) => uses(expr, name))
      .map(link)
      .join(', '),
  ]);
  const text = `# Metrics

<!-- Generated from src/observe/metrics.ts and ${ALERTS} by \`npm run generate\`. -->

\`metrics.listen\` in the [configuration](configuration.md) enables them; [deploy](../../deploy/README.md#metrics) says how to collect
them. An alert links to its runbook.

${table(['metric', 'type', 'labels', 'meaning', 'alerts'], rows)}
Upper bounds of the histogram buckets, in seconds: ${LAG_BUCKETS.join(', ')}.
`;
  return new Map([['docs/reference/metrics.md', text]]);
}

function uses(expression: string, metric: string): boolean {
  return new RegExp(`\\b${metric}(_bucket|_count|_sum)?\\b`).test(expression);
}

function link({ alert, annotations }: Alert): string {
  return `[${alert}](../runbooks/${basename(annotations.runbook_url)})`;
}
