import { ENVIRONMENT_NAME, MAX_KEY_BYTES, UNSERVABLE_NAME } from '../domain/names.ts';
import type { RefusalReason } from './refusal.ts';

/**
 * Names that steer the shell, the loader or a language runtime, or that the supervisor sets itself. A Secret
 * whose keys are taken as a whole must not be able to change how the agent's processes start.
 */
const STEERING = new Set([
  'BASH_ENV',
  'CDPATH',
  'ENV',
  'GCONV_PATH',
  'HOME',
  'HOSTALIASES',
  'IFS',
  'JAVA_TOOL_OPTIONS',
  'LOCALDOMAIN',
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'PATH',
  'PERL5LIB',
  'PERL5OPT',
  'PROMPT_COMMAND',
  'PS4',
  'PWD',
  'PYTHONHOME',
  'PYTHONPATH',
  'PYTHONSTARTUP',
  'RES_OPTIONS',
  'RUBYLIB',
  'RUBYOPT',
  'SHELL',
  'SHELLOPTS',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'TMPDIR',
  'USER',
]);
const STEERING_PREFIXES = ['LD_', 'DYLD_', 'BASH_FUNC_', 'GIT_CONFIG_', 'OPENSHELL_', 'SECRET_RESOLVER_'];

/** Why a name cannot be served, or undefined where it can. */
export function nameFault(name: string): RefusalReason | undefined {
  if (!ENVIRONMENT_NAME.test(name) || Buffer.byteLength(name) > MAX_KEY_BYTES) return 'illegal-name';
  if (UNSERVABLE_NAME.test(name) || STEERING.has(name)) return 'reserved-name';
  return STEERING_PREFIXES.some((prefix) => name.startsWith(prefix)) ? 'reserved-name' : undefined;
}
