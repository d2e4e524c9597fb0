/** What a supervisor gives the agent in place of credentials. No I/O, no clock, no values. */
import type { ProviderEnvironment } from './environment.ts';
import { formatPlaceholder, isPlaceholderKey } from './placeholder.ts';

/**
 * Environment variables for the agent: a stable-handle placeholder for each credential that can resolve. They
 * hold over rotations and restarts, so a long-running agent never needs a new one. Left out, as the supervisor
 * leaves them out: a name that reads as a revision or a handle, and a credential that is bound to no endpoint.
 */
export function agentEnvironment(environment: ProviderEnvironment): Record<string, string> {
  return Object.fromEntries(
    [...environment.credentials.values()]
      .filter(({ key, endpoints }) => isPlaceholderKey(key) && endpoints.length > 0)
      .map(({ key, handle }) => [key, formatPlaceholder({ form: 'handle', key, handle })]),
  );
}
