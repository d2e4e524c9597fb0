/**
 * A control keeps one threat out. It is one file in controls/ and one line in controls/index.ts; `check`, `lint`, the
 * self-test, the admission policy, SECURITY.md and docs/reference take it from there.
 */
import type { Config } from '../config/config.ts';
import type { RuleBody } from '../manifest/rule.ts';
import type { Attack } from './attacks/types.ts';
import type { Facts } from './facts/facts.ts';
import type { Finding, Severity } from './finding.ts';

/** In the order of a report. The API server shows the first refusal only: what has no resolver comes first. */
export const GROUPS = ['pod', 'self', 'mounts', 'processes', 'socket', 'rotation', 'configuration'] as const;
export type Group = (typeof GROUPS)[number];

export interface Control {
  /** Kebab-case and stable: what `--ignore` and the policy's messages name, and `boundary.warn` unless there is a `checkId`. */
  readonly id: string;
  readonly group: Group;
  readonly severity: Severity;
  /** What goes wrong without it, in a sentence. */
  readonly threat: string;
  /** What holds with it, in a sentence. */
  readonly promise: string;
  readonly check?: Check;
  /** Where the check has another id than the control. */
  readonly checkId?: string;
  /**
   * Whether the container runtime itself fails the check for a moment: with every exec, also one by kubelet for a probe, it
   * is root in the pod's PID namespace, and has the node's mounts, until it has become the program that it is to start.
   */
  readonly failsDuringExec?: true;
  /** Of `lint`, on manifests. */
  readonly rule?: RuleBody;
  readonly expression?: Expression;
  /** Of the self-test. */
  readonly attacks?: readonly Attack[];
}

/**
 * At run time, from facts. Pure: it reads no file and no clock. `enforced`: ids of the checks that keep the resolver from
 * serving.
 */
type Check = (facts: Facts, config: Config, enforced: ReadonlySet<string>) => Verdict;

/** At admission. The policy puts the id in front of the message. */
export interface Expression {
  /** CEL over `object` and the variables of expression.ts; true where the pod may pass. */
  readonly cel: string;
  readonly message: string;
  /** CEL for a message with names in it; without the id. */
  readonly messageCel?: string;
}

/** CEL text as it is written, backslashes included. */
export const cel = String.raw;

export function celList(items: Iterable<unknown>): string {
  return JSON.stringify([...items]).replaceAll(',', ', ');
}

/** What one check found, before the configuration had its say on the severity. */
export interface Verdict extends Omit<Finding, 'id' | 'severity'> {
  /** What protects instead on this container runtime: the check is then an exception, and stops nothing. */
  readonly replacedBy?: string;
}

export function pass(evidence: string, exceptions: Iterable<string> = []): Verdict {
  return { outcome: 'pass', evidence, remedy: '', exceptions: [...new Set(exceptions)] };
}

export function fail(evidence: string, remedy: string): Verdict {
  return { outcome: 'fail', evidence, remedy };
}

export function unknown(evidence: string, remedy: string): Verdict {
  return { outcome: 'unknown', evidence, remedy };
}

/** Most items that one evidence spells out: the rest is counted, so that a finding stays readable. */
const MAX_LISTED = 4;

/** `a; b; c; and 7 more`. */
export function listed(items: readonly string[]): string {
  const shown = items.slice(0, MAX_LISTED).join('; ');
  return items.length <= MAX_LISTED ? shown : `${shown}; and ${items.length - MAX_LISTED} more`;
}

/** `0755`. */
export function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
