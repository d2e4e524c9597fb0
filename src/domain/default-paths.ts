/** Where things are unless the configuration says otherwise. Each stands here once. */

export const DEFAULT_SOCKET = '/run/secret-resolver/socket/resolver.sock';
export const DEFAULT_SECRETS_ROOT = '/var/lib/secret-resolver/secrets';
/** Where the pod template mounts the provider files. */
export const DEFAULT_PROVIDERS_DIR = '/etc/secret-resolver/providers';
