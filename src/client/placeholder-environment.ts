/** The placeholders that a supervisor gives the agent instead of credentials. No I/O, no clock, no values. */
import type { ProviderEnvironment } from './environment.ts';
import { formatPlaceholder, isPlaceholderKey } from './placeholder.ts';

/**
 * Environment variables for the agent: a stable-handle placeholder for each credential that can resolve, valid across
 * rotations and restarts. Like OpenShell's supervisor, it omits names that parse as a revision or a handle, and
 * credentials that are bound to no endpoint.
 */
export function agentEnvironment(environment: ProviderEnvironment): Record<string, string> {
  return Object.fromEntries(
    [...environment.credentials.values()]
      .filter(({ key, endpoints }) => isPlaceholderKey(key) && endpoints.length > 0)
      .map(({ key, handle }) => [key, formatPlaceholder({ form: 'handle', key, handle })]),
  );
}
