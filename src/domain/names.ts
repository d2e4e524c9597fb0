/** Longest environment name, in bytes: OpenShell's limit for a key. */
export const MAX_KEY_BYTES = 256;

/**
 * Names that cannot be served: they would be confused with a revision (`v7_…`) or a handle (`s<64 hex>_…`) in a
 * placeholder, or, like `__proto__`, are not an ordinary property name in JavaScript.
 */
export const UNSERVABLE_NAME = /^(v[0-9]+_|s[0-9a-f]{64}_|__proto__$)/;
/** The negation of {@link UNSERVABLE_NAME}, as one pattern for the published schema. */
export const SERVABLE_NAME = /^(?!v[0-9]+_|s[0-9a-f]{64}_|__proto__$)/;

/** Credential names that OpenShell's placeholders accept. */
export const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Keys that the Kubernetes API server accepts in a Secret. */
export const SECRET_KEY = /^[-._a-zA-Z0-9]{1,253}$/;

/**
 * Names that steer how the agent's programs start, find code or connect: shell, loader and language runtimes, proxies,
 * TLS, git and package managers; and those that the supervisor sets itself. A Secret whose keys are taken as a whole must
 * not change any of that, and a placeholder in place of a proxy's address cuts the agent off from the network.
 */
const STEERING = new Set(
  [
    'BASHOPTS BASH_ENV CDPATH ENV FPATH GCONV_PATH GLIBC_TUNABLES HOME HOSTALIASES IFS LOCALDOMAIN LOCPATH LOGNAME',
    'NLSPATH OLDPWD PATH PROMPT_COMMAND PS4 PWD RES_OPTIONS SHELL SHELLOPTS TEMP TMP TMPDIR USER ZDOTDIR',
    'BROWSER EDITOR LESSCLOSE LESSOPEN MANPAGER PAGER VISUAL',
    'CLASSPATH DOTNET_ADDITIONAL_DEPS DOTNET_STARTUP_HOOKS ERL_AFLAGS ERL_FLAGS JAVA_HOME JAVA_TOOL_OPTIONS',
    'JDK_JAVA_OPTIONS LUA_CPATH LUA_INIT LUA_PATH NODE_OPTIONS NODE_PATH PERL5DB PERL5LIB PERL5OPT PHPRC',
    'PHP_INI_SCAN_DIR RUBYLIB RUBYOPT _JAVA_OPTIONS',
    'AWS_CA_BUNDLE CARGO_HTTP_CAINFO CURL_CA_BUNDLE DENO_CERT DENO_TLS_CA_STORE GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
    'HTTPLIB2_CA_CERTS NIX_SSL_CERT_FILE NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED NODE_USE_ENV_PROXY',
    'NODE_USE_SYSTEM_CA OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES PERL_LWP_SSL_CA_FILE',
    'PERL_LWP_SSL_VERIFY_HOSTNAME REQUESTS_CA_BUNDLE SSLKEYLOGFILE SSL_CERT_DIR SSL_CERT_FILE',
    'GIT_ALLOW_PROTOCOL GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_ASKPASS GIT_ATTR_SOURCE GIT_COMMON_DIR GIT_DIR GIT_EDITOR',
    'GIT_EXEC_PATH GIT_EXTERNAL_DIFF GIT_INDEX_FILE GIT_NAMESPACE GIT_OBJECT_DIRECTORY GIT_PAGER GIT_PROTOCOL_FROM_USER',
    'GIT_PROXY_COMMAND GIT_SEQUENCE_EDITOR GIT_SSH GIT_SSH_COMMAND GIT_SSH_VARIANT GIT_TEMPLATE_DIR GIT_WORK_TREE',
    'SSH_ASKPASS SSH_ASKPASS_REQUIRE SSH_AUTH_SOCK SVN_SSH HGRCPATH',
    'BUNDLE_GEMFILE BUNDLE_PATH CARGO_HOME COMPOSER_HOME CONDARC GEM_HOME GEM_PATH GOENV GOFLAGS GOINSECURE GONOPROXY',
    'GONOSUMDB GOPATH GOPRIVATE GOPROXY GOROOT GOSUMDB GOTOOLCHAIN GRADLE_OPTS GRADLE_USER_HOME MAKEFLAGS MAVEN_ARGS',
    'MAVEN_OPTS PNPM_HOME RUSTC RUSTC_WRAPPER RUSTFLAGS SBT_OPTS UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_INDEX',
    'UV_INDEX_URL UV_INSECURE_HOST UV_PYTHON YARN_RC_FILENAME YARN_REGISTRY YARN_NPM_REGISTRY_SERVER',
  ].flatMap((line) => line.split(' ')),
);

/** Families of the same. Programs read proxies and the settings of npm in any case. */
const STEERING_FAMILIES =
  /^(LD_|DYLD_|BASH_FUNC_|GIT_(CONFIG|SSL|TRACE)|OPENSHELL_|SECRET_RESOLVER_|PYTHON[A-Z]|XDG_|PIP_|CORECLR_|COR_)/;
const ANY_CASE = /^(npm_config_|(\w+_)?(https?|ftp|all|no|socks[45]?|rsync|wss?)_proxy$)/i;

/** Whether a name is reserved because it steers programs. */
export function isSteeringName(name: string): boolean {
  return STEERING.has(name) || STEERING_FAMILIES.test(name) || ANY_CASE.test(name);
}
