/** What a supervisor gives the agent in place of credentials. No I/O, no clock, no values. */
import type { ProviderEnvironment } from './environment.ts';
import { formatPlaceholder, isPlaceholderKey } from './placeholder.ts';

/**
 * Environment variables for the agent: a stable-handle placeholder for each credential that can resolve. It stays
 * valid over rotations and restarts. Left out, as OpenShell's supervisor leaves them out: a name that parses as a
 * revision or a handle, and a credential that is bound to no endpoint.
 */
export function agentEnvironment(environment: ProviderEnvironment): Record<string, string> {
  return Object.fromEntries(
    [...environment.credentials.values()]
      .filter(({ key, endpoints }) => isPlaceholderKey(key) && endpoints.length > 0)
      .map(({ key, handle }) => [key, formatPlaceholder({ form: 'handle', key, handle })]),
  );
}
