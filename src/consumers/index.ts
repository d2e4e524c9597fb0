/** The registry of consumers: one line each. */
import type { Rpc } from '../boundary/attacks/types.ts';
import type { Config } from '../config/config.ts';
import type { Consumer, ServeOptions } from './consumer.ts';
import { envoySds } from './envoy-sds/index.ts';
import { gatewayDriver } from './gateway-driver/index.ts';
import { native } from './native/index.ts';
import { openshell } from './openshell/index.ts';

export const CONSUMERS: readonly Consumer[] = [native, openshell, gatewayDriver, envoySds];

/** Every call that could yield a credential, for the self-test. */
export function selfTestCalls(sandboxId: string): Rpc[] {
  return CONSUMERS.flatMap(({ selfTest }) => selfTest(sandboxId));
}

/** Throws CommandError where the options of `serve` do not fit the configuration that it starts with. */
export function refuseOptions(config: Config, options: ServeOptions): void {
  for (const { config: part, refuseOptions } of CONSUMERS)
    if (part && refuseOptions) refuseOptions(config.parts[part.field], options);
}

/** What the options of `serve` make of a configuration. */
export function configured(config: Config, options: ServeOptions): Config {
  const settings = CONSUMERS.flatMap(({ config: part, configure }) =>
    part && configure ? [[part.field, configure(config.parts[part.field], options)]] : [],
  );
  const parts = Object.freeze({ ...config.parts, ...Object.fromEntries(settings) });
  return Object.freeze({ ...config, parts });
}

/** A configuration that was read again, with what takes effect at the next start only as it was; and those fields. */
export function keepFixed(
  current: Config,
  next: Config,
): { readonly config: Config; readonly fixed: string[] } {
  const fixed: string[] = [];
  const slots = CONSUMERS.flatMap(({ config: part }) => part ?? []);
  const parts = slots.map(({ field, keep }) => {
    const kept = keep(current.parts[field], next.parts[field]);
    if (JSON.stringify(kept) !== JSON.stringify(next.parts[field])) fixed.push(field);
    return [field, kept] as const;
  });
  return { config: { ...next, parts: Object.fromEntries(parts) }, fixed };
}
