/** Reads the configuration again, all or nothing. */
import type { Config } from '../config/config.ts';
import { readUnchanged } from '../config/files.ts';
import type { ServeOptions } from '../consumers/consumer.ts';
import { keepFixed } from '../consumers/index.ts';
import type { loadConfig } from '../consumers/load-config.ts';
import { ConfigError, formatIssue } from '../domain/errors.ts';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';

/** Fields that are bound to what the process opened or proved at its start. */
const FIXED_FIELDS = [
  'sandbox',
  'socket',
  'health',
  'metrics',
  'audit',
  'log',
  'agent',
  'boundary',
] as const satisfies readonly (keyof Config)[];

/** Mistakes of a reload that the log names one by one. */
const MAX_LOGGED_ISSUES = 20;

export interface ReloadOptions {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly consumers: ServeOptions;
  readonly log: Logger;
  readonly audit: Audit;
  readonly loadConfig: typeof loadConfig;
}

/**
 * The next configuration, and the files that were read; undefined where it is wrong or changed at every attempt, which
 * leaves the one in force untouched. Never a mixture of two: where a file changed while they were read, all are read
 * again. What the process opened or proved at its start stays as it was until the next start; a caller must not become
 * the agent by that.
 */
export function reread(current: Config, options: ReloadOptions) {
  const { file, env, consumers, loadConfig } = options;
  const { loaded, files } = readUnchanged((reading) => {
    const next = loadConfig(file, env, { files: reading }, consumers);
    refuseAgentAsCaller(current, next);
    return next;
  });
  return { config: loaded && accept(current, loaded, options), files };
}

/** What is put in force of it; undefined where it is wrong. Both are logged and audited. */
function accept(
  current: Config,
  loaded: Config | ConfigError,
  { file, log, audit }: ReloadOptions,
): Config | undefined {
  if (!(loaded instanceof ConfigError)) {
    const { config: next, fixed: fixedParts } = keepFixed(current, loaded);
    const fixed = [
      ...FIXED_FIELDS.filter((field) => JSON.stringify(current[field]) !== JSON.stringify(next[field])),
      ...fixedParts,
    ];
    if (fixed.length > 0) log.warn({ fields: fixed }, 'these fields take effect at the next start only');
    log.info('configuration read again');
    audit.configReloaded(true, file);
    return { ...next, ...Object.fromEntries(FIXED_FIELDS.map((field) => [field, current[field]])) };
  }
  const { issues } = loaded;
  log.error(
    { issues: issues.slice(0, MAX_LOGGED_ISSUES), mistakes: issues.length },
    'the new configuration is wrong; the one before stays in force',
  );
  const [first] = issues;
  audit.configReloaded(
    false,
    `${issues.length} ${issues.length === 1 ? 'mistake' : 'mistakes, the first'}: ${first === undefined ? '' : formatIssue(first)}`,
  );
  return undefined;
}

/** The loader compares callers with the agent of the same file; the agent in force is the one of the start. */
function refuseAgentAsCaller(current: Config, next: Config): void {
  const listed = [next, ...Object.values(next.parts)].flatMap((part) => part?.callers ?? []);
  if (listed.every(({ uid }) => uid !== current.agent.uid)) return;
  throw new ConfigError([
    {
      file: next.file,
      line: 0,
      column: 0,
      field: 'agent.uid',
      message: `is ${current.agent.uid} until the resolver is started again, and that is the UID of a caller now`,
      hint: 'start the resolver again to change the UID of the agent',
    },
  ]);
}
