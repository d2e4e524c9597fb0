/**
 * Snapshots as OpenShell's supervisor takes them. It drops every credential of a response in which one breaks a
 * rule, so what would break one is withheld here, alone; our own calls go on serving it.
 */
import type { Audit } from '../../observe/audit/audit.ts';
import type { Logger } from '../../observe/log.ts';
import { FewLines } from '../../observe/log-few.ts';
import { KeptViews } from '../../snapshot/kept-views.ts';
import { withheldProviders } from '../../snapshot/refusal.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import type { View, Views, Withholding } from '../../snapshot/views.ts';
import { applyOpenShellRules, type Judged, type OpenShellRuleOptions } from './openshell-rules.ts';

export interface OpenShellViewsOptions {
  readonly views: Views;
  readonly audit: Audit;
  readonly log: Logger;
  /** The rules of this moment: a reload changes them. */
  readonly rules: () => OpenShellRuleOptions;
}

export class OpenShellViews {
  readonly #options: OpenShellViewsOptions;
  readonly #kept = new KeptViews<View>();
  /** What was written down of a snapshot. More sets of providers than are kept must not write it again. */
  readonly #reported = new WeakMap<Snapshot, Set<string>>();

  constructor(options: OpenShellViewsOptions) {
    this.#options = options;
  }

  /** The view of a set of providers; the very bytes of our own calls where OpenShell takes them all. */
  of(snapshot: Snapshot, providers: readonly string[]): View {
    // A reload that changes the rules publishes nothing by itself, so they are part of what a view is kept under.
    const rules = this.#options.rules();
    return this.#kept.of(snapshot, [...providers, `\0${rules.overLimit}`], () => {
      const whole = this.#options.views.of(snapshot, providers);
      const { accepted, refused, warned } = applyOpenShellRules(whole.credentials, rules);
      const withheld = withheldFrom(whole, refused);
      const taken = new Set(accepted);
      // In the order of the snapshot: equal content is equal bytes, and so one revision.
      const served = whole.credentials.filter((each) => taken.has(each) && !withheld.has(each.provider));
      const view =
        served.length === whole.credentials.length
          ? whole
          : this.#options.views.encode(new Set(providers), served, whole.refusals);
      this.#report(snapshot, view, refused, warned);
      return withheld.size < providers.length ? view : { ...view, withheldBy: [...withheld.values()][0] };
    });
  }

  retire(snapshot: Snapshot | undefined): void {
    this.#kept.retire(snapshot);
  }

  /** Writes down what is withheld and what is only warned of, once for each snapshot. */
  #report(snapshot: Snapshot, view: View, refused: readonly Judged[], warned: readonly Judged[]): void {
    const { audit, log } = this.#options;
    const reported = this.#reported.get(snapshot) ?? new Set();
    this.#reported.set(snapshot, reported);
    const isNew = (what: string, { credential, violations }: Judged) => {
      const id = JSON.stringify([what, credential.identity, violations.map(({ rule }) => rule)]);
      return !reported.has(id) && reported.add(id);
    };
    const lines = new FewLines(log);
    for (const judged of refused) {
      if (!isNew('withheld', judged)) continue;
      const { credential, violations } = judged;
      const { provider, key } = credential;
      const rules = violations.map(({ rule }) => rule);
      audit.withheld('OpenShell', credential, rules, view.revision);
      lines.add(
        'warn',
        { provider, key, rules, why: violations.map(({ why }) => why) },
        'credential withheld from OpenShell; our own calls serve it',
      );
    }
    for (const judged of warned) {
      // A long value was warned of when it was loaded, for whoever asks for it.
      const violations = judged.violations.filter(({ rule }) => rule !== 'value-too-long');
      if (violations.length === 0 || !isNew('warned', judged)) continue;
      const { provider, key } = judged.credential;
      lines.add(
        'warn',
        { provider, key, why: violations.map(({ why }) => why) },
        "beyond a limit of OpenShell's gateway",
      );
    }
    lines.end();
  }
}

/** What withholds each provider: a required credential that is refused, or that OpenShell would not take. */
function withheldFrom(whole: View, refused: readonly Judged[]): ReadonlyMap<string, Withholding> {
  return new Map<string, Withholding>([
    ...withheldProviders(whole.refusals),
    ...refused
      .filter(({ credential }) => credential.required)
      .map(({ credential: { provider, key, reference }, violations }) => {
        const reason = violations[0]?.rule ?? '';
        return [provider, { provider, key, reference, reason }] as const;
      }),
  ]);
}
