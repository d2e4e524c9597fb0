/** Mistakes that people make in each kind of file, with the one line that they are to be told. */
import { SANDBOX } from '../support/workspace.ts';

export const ENVIRONMENT = {
  SECRET_RESOLVER_SANDBOX_ID: SANDBOX.id,
  SECRET_RESOLVER_SANDBOX_NAME: SANDBOX.name,
  SECRET_RESOLVER_SANDBOX_NAMESPACE: SANDBOX.namespace,
};

export type Kind = 'config' | 'provider' | 'profile';

export interface Mistake {
  readonly name: string;
  readonly kind: Kind;
  readonly text: string;
  /** What is said after the folder, one string an issue. */
  readonly expected: readonly string[];
  /** Whether the published JSON Schema alone finds it; the rest needs the other files. */
  readonly bySchema: boolean;
}

const FILES = { config: 'config.yaml', provider: 'providers/p.yaml', profile: 'profiles/p.yaml' } as const;

function mistake(kind: Kind, bySchema: boolean) {
  return (name: string, text: string, ...expected: string[]): Mistake => ({
    name,
    kind,
    text,
    bySchema,
    expected: expected.map((line) => `${FILES[kind]}${line}`),
  });
}

const config = mistake('config', true);
const provider = mistake('provider', true);
const profile = mistake('profile', true);
const SOURCE = '{type: kubernetesSecret, name: nvbugs, key: token}';
const UID = 'a numeric user id, for example 1000';
const ENVIRONMENT_NAME = 'write letters, digits and "_", not beginning with a digit';

export const MISTAKES: readonly Mistake[] = [
  config(
    'an unknown field that is nearly a known one',
    'socket:\n  pth: /run/a/b.sock\n',
    ':2:3: socket.pth: is not a known field (write path)',
  ),
  config(
    'an unknown field that is nothing like one',
    'socket:\n  timeout: 3\n',
    ':2:3: socket.timeout: is not a known field (remove it; known here: path, mode, gid)',
  ),
  config(
    'text instead of a number',
    'agent: {uid: root}\n',
    `:1:9: agent.uid: has the wrong type, expected a number (write ${UID})`,
  ),
  config('a negative uid', 'agent: {uid: -1}\n', `:1:9: agent.uid: must be at least 0 (write ${UID})`),
  config(
    'a uid of 32 ones',
    'agent: {uid: 4294967295}\n',
    `:1:9: agent.uid: must be at most 4294967294 (write ${UID})`,
  ),
  config(
    'a list where a map belongs',
    'agent: [1000]\n',
    ':1:1: agent: has the wrong type, expected a map of fields (write {uid, gid} of the agent, whom the boundary is against; {present: false} for a pod without one)',
  ),
  config(
    'nothing where a map belongs',
    'socket:\n',
    ':1:1: socket: has the wrong type, expected a map of fields (write {path, mode, gid} of the Unix socket; gid is a group of ours that the socket is given to)',
  ),
  config(
    'a missing field',
    'callers:\n  - name: a\n    providers: ["*"]\n',
    `:2:5: callers[0].uid: is missing (write ${UID})`,
  ),
  config(
    'uid 65534',
    'callers:\n  - {name: a, uid: 1, providers: []}\n  - {name: b, uid: 65534, providers: []}\n',
    `:3:15: callers[1].uid: 65534 means "not mapped in this user namespace": it is everybody and is always refused (write ${UID})`,
  ),
  config(
    'a caller named as ourselves',
    'callers:\n  - {name: self, uid: 1, providers: []}\n',
    ':2:6: callers[0].name: is the name that the resolver gives to its own UID (write a name for the audit, for example supervisor)',
  ),
  config(
    'a place deep inside lists',
    'callers:\n  - {name: a, uid: 1, providers: [x]}\n  - {name: b, uid: 2, providers: [y, "no name"]}\n',
    ':3:38: callers[1].providers[1]: is not a provider name or glob (write a list of provider names; "*" stands for any text)',
  ),
  config(
    'a relative socket path',
    'socket: {path: run/x.sock}\n',
    `:1:10: socket.path: must be an absolute path without ".", ".." or control characters in it (${SOCKET_HINT()})`,
  ),
  config(
    'a socket path that climbs',
    'socket: {path: /run/a/../b.sock}\n',
    `:1:10: socket.path: must be an absolute path without ".", ".." or control characters in it (${SOCKET_HINT()})`,
  ),
  config(
    'a socket path that climbs after a line break',
    'socket: {path: "/run/a\\n/../b.sock"}\n',
    `:1:10: socket.path: must be an absolute path without ".", ".." or control characters in it (${SOCKET_HINT()})`,
  ),
  config(
    'a socket path that is too long',
    `socket: {path: /run/${'a'.repeat(100)}/x.sock}\n`,
    `:1:10: socket.path: is longer than the 100 bytes that leave room for a Unix socket address (${SOCKET_HINT()})`,
  ),
  config(
    'a socket in a folder of everybody',
    'socket: {path: /tmp/x.sock}\n',
    `:1:10: socket.path: must not be in a folder that other programs use: only a folder of its own can be hidden and locked (${SOCKET_HINT()})`,
  ),
  config(
    'a folder as socket',
    'socket: {path: /run/resolver/}\n',
    `:1:10: socket.path: is a folder: a name is missing at its end (${SOCKET_HINT()})`,
  ),
  config(
    'a mode without quotes',
    'socket: {mode: 0660}\n',
    ':1:10: socket.mode: has the wrong type, expected text (put numbers in quotes) (write an octal mode in quotes, for example "0660" or "0666": the UID list is the fence, not the mode)',
  ),
  config(
    'an executable socket',
    'socket: {mode: "0777"}\n',
    ':1:10: socket.mode: must not have an execute bit (write an octal mode in quotes, for example "0660" or "0666": the UID list is the fence, not the mode)',
  ),
  config(
    'a port that is none',
    'health: {listen: "127.0.0.1:65536"}\n',
    ':1:10: health.listen: has a port above 65535 (write host:port with a numeric address, for example "[::]:8086", which is both IPv4 and IPv6)',
  ),
  config(
    'a port alone',
    'metrics: {listen: "9090"}\n',
    ':1:11: metrics.listen: is not host:port (write host:port with a numeric address, for example "[::]:8086", which is both IPv4 and IPv6)',
  ),
  config(
    'a level that is none',
    'log: {level: verbose}\n',
    ':1:7: log.level: must be one of trace, debug, info, warn, error, fatal (write one of trace, debug, info, warn, error, fatal)',
  ),
  config(
    'a namespace with capitals',
    'references:\n  allow:\n    - {namespace: Tenant, name: "*"}\n',
    ':3:8: references.allow[0].namespace: is not a Kubernetes namespace name (write a Kubernetes namespace: lowercase letters, digits and "-", at most 63 characters)',
  ),
  config(
    'several mistakes at once',
    'agent: {uid: x}\nsockets: {}\nlog: {level: 7}\n',
    ':1:9: agent.uid: has the wrong type, expected a number (write a numeric user id, for example 1000)',
    ':3:7: log.level: must be one of trace, debug, info, warn, error, fatal (write one of trace, debug, info, warn, error, fatal)',
    ':2:1: sockets: is not a known field (write socket)',
  ),
  {
    ...config(
      'two callers of one name',
      'callers:\n  - {name: a, uid: 1, providers: []}\n  - {name: a, uid: 2, providers: []}\n',
      ':3:6: callers[1].name: is the name of another caller too (give each caller a name of its own)',
    ),
    bySchema: false,
  },
  {
    ...config(
      'the agent as a caller',
      'agent: {uid: 1234}\ncallers:\n  - {name: a, uid: 1234, providers: []}\n',
      ':3:15: callers[0].uid: is the UID of the agent, whom the boundary is against (run the supervisor under a UID of its own; where the pod has no agent, write agent: {present: false})',
    ),
    bySchema: false,
  },
  {
    ...config(
      'an exception that is listed twice',
      'boundary: {warn: [self-seccomp, host-pid, self-seccomp]}\n',
      ':1:43: boundary.warn[2]: is listed twice (keep one of the two)',
    ),
    bySchema: false,
  },
  provider(
    'no provider at all',
    'providers: []\n',
    ':1:1: provider: is missing (write {name, type, credentials, credentialsFrom, endpoints})',
    ':1:1: providers: is not a known field (write provider)',
  ),
  provider(
    'neither of the two ways to name credentials',
    'provider: {name: a, type: b}\n',
    ':1:1: provider: has neither credentials nor credentialsFrom (write {name, type, credentials, credentialsFrom, endpoints})',
  ),
  provider(
    'another kind of source',
    'provider:\n  name: a\n  type: b\n  credentials:\n    TOKEN:\n      source: {type: vault, name: x, key: y}\n',
    ':6:16: provider.credentials.TOKEN.source.type: must be kubernetesSecret (write kubernetesSecret)',
  ),
  provider(
    'a key that leaves the volume',
    'provider:\n  name: a\n  type: b\n  credentials:\n    TOKEN:\n      source: {type: kubernetesSecret, name: x, key: ../y}\n',
    ':6:49: provider.credentials.TOKEN.source.key: is not the path of a file below the Secret volume (write a key of the Secret, or the path that the volume\'s `items` give it, for example "db/password")',
  ),
  provider(
    'names that are none',
    `provider:\n  name: a\n  type: b\n  credentials:\n    1TOKEN: {source: ${SOURCE}}\n    MY-TOKEN: {source: ${SOURCE}}\n`,
    `:5:5: provider.credentials.1TOKEN: the name is not an environment variable name (${ENVIRONMENT_NAME})`,
    `:6:5: provider.credentials.MY-TOKEN: the name is not an environment variable name (${ENVIRONMENT_NAME})`,
  ),
  provider(
    'a name that reads as a revision',
    `provider:\n  name: a\n  type: b\n  credentials:\n    v7_X: {source: ${SOURCE}}\n`,
    `:5:5: provider.credentials.v7_X: the name is reserved: it reads as a revision or a handle inside a placeholder (${ENVIRONMENT_NAME})`,
  ),
  provider(
    'a name that reads as a handle, which is too long and odd to be repeated',
    `provider:\n  name: a\n  type: b\n  credentials:\n    s${'0123456789abcdef'.repeat(4)}_X: {source: ${SOURCE}}\n`,
    `:5:5: provider.credentials.<name>: the name is reserved: it reads as a revision or a handle inside a placeholder (${ENVIRONMENT_NAME})`,
  ),
  provider(
    'the name __proto__',
    `provider:\n  name: a\n  type: b\n  credentials:\n    __proto__: {source: ${SOURCE}}\n`,
    ':5:5: is a name that cannot be used (choose another name)',
  ),
  provider(
    'a mode that is none',
    'provider:\n  name: a\n  type: b\n  credentialsFrom:\n    - source: {type: kubernetesSecret, name: x}\n      mode: all\n',
    ':6:7: provider.credentialsFrom[0].mode: must be one of providerProfileKeys, allKeys (write providerProfileKeys for the keys that the profile of `type` declares, or allKeys)',
  ),
  provider(
    'rename where it does nothing',
    'provider:\n  name: a\n  type: known\n  credentialsFrom:\n    - source: {type: kubernetesSecret, name: x}\n      mode: providerProfileKeys\n      rename: {a: B}\n',
    ':7:7: provider.credentialsFrom[0].rename: has no effect with providerProfileKeys (write a map from a key of the Secret to an environment name; only with allKeys)',
  ),
  provider(
    'rename to a name that is none',
    'provider:\n  name: a\n  type: b\n  credentialsFrom:\n    - source: {type: kubernetesSecret, name: x}\n      mode: allKeys\n      rename: {a: b-c}\n',
    ':7:16: provider.credentialsFrom[0].rename.a: is not an environment variable name (write an environment variable name: letters, digits and "_", not beginning with a digit)',
  ),
  provider(
    'a host with a scheme',
    `provider:\n  name: a\n  type: b\n  credentials: {T: {source: ${SOURCE}}}\n  endpoints:\n    - host: https://x.example\n`,
    ':6:7: provider.endpoints[0].host: must be a host name without braces, port or scheme (write a host name without empty labels; "*" stands for any text within one label)',
  ),
  provider(
    'a time that is a list',
    `provider:\n  name: a\n  type: b\n  credentials:\n    T: {source: ${SOURCE}, expiresAt: []}\n`,
    ':5:69: provider.credentials.T.expiresAt: has none of the accepted forms (write an RFC 3339 time, Unix milliseconds, or {key: NAME} for a key of the same Secret that holds either)',
  ),
  {
    ...provider(
      'a time that is none',
      `provider:\n  name: a\n  type: b\n  credentials:\n    T: {source: ${SOURCE}, expiresAt: tomorrow}\n`,
      ':5:69: provider.credentials.T.expiresAt: is not a time (write an RFC 3339 time such as 2027-01-31T00:00:00Z, or Unix milliseconds)',
    ),
    bySchema: false,
  },
  {
    ...provider(
      'keys of a profile that is not there',
      'provider:\n  name: a\n  type: gitlab\n  credentialsFrom:\n    - source: {type: kubernetesSecret, name: x}\n      mode: providerProfileKeys\n',
      ':6:7: provider.credentialsFrom[0].mode: there is no profile gitlab to take keys from (add the profile to profilesDir, or use mode allKeys)',
    ),
    bySchema: false,
  },
  {
    ...provider(
      'one name renamed to twice',
      'provider:\n  name: a\n  type: b\n  credentialsFrom:\n    - source: {type: kubernetesSecret, name: x}\n      mode: allKeys\n      rename: {a: TOKEN, b: TOKEN}\n',
      ':7:7: provider.credentialsFrom[0].rename: provider a claims TOKEN twice (keep one of the two)',
    ),
    bySchema: false,
  },
  profile(
    'a profile id with capitals',
    'id: GitLab\n',
    ':1:1: id: must be lowercase kebab-case (write the id of the profile, lowercase kebab-case: a provider names it as its `type`)',
  ),
  profile(
    'an environment variable that is none',
    'id: x\ncredentials:\n  - {name: a, env_vars: ["A B"]}\n',
    ':3:26: credentials[0].env_vars[0]: is not an environment variable name (write an environment variable name: letters, digits and "_", not beginning with a digit)',
  ),
  profile(
    'a port of a profile that is none',
    'id: x\nendpoints:\n  - {host: h, port: 0}\n',
    ':3:15: endpoints[0].port: must be at least 1 (write a TCP port from 1 to 65535)',
  ),
  {
    ...profile(
      'a variable that a profile declares twice',
      'id: x\ncredentials:\n  - {name: a, env_vars: [TOKEN]}\n  - {name: b, env_vars: [OTHER, TOKEN]}\n',
      ':4:15: credentials[1].env_vars: declares TOKEN a second time (keep environment names unique in a profile)',
    ),
    bySchema: false,
  },
];

function SOCKET_HINT(): string {
  return 'write the path of the socket, in a folder of its own, for example /run/secret-resolver/socket/resolver.sock';
}

/** What is no YAML, or YAML that no configuration can be. */
export const SYNTAX: readonly (readonly [name: string, text: string, expected: string])[] = [
  [
    'an open bracket',
    'a: [1',
    ':1:6: not valid YAML: the indentation fits no line above, or a bracket is not closed (indent like the neighbouring fields, and close every [ and {)',
  ],
  [
    'an open quote',
    'a: "x\n',
    ':2:1: not valid YAML: a quote, bracket, comma or colon is missing (look for it in this line and the ones before)',
  ],
  [
    'a second colon',
    'a: b: c\n',
    ':1:4: not valid YAML: a second ":" in one line, or a name over several lines (put text with ": " in it in quotes, or begin a new line)',
  ],
  ['a tab', 'a:\n\tb: 1\n', ':2:1: not valid YAML: a tab indents this line (indent with spaces)'],
  ['a field twice', 'agent: {uid: 1}\nagent: {uid: 2}\n', ':2:1: duplicate field (keep one of the two)'],
  [
    'a field twice, as a number and as text',
    'agent: {1: a, "1": b}\n',
    ':1:15: duplicate field (keep one of the two)',
  ],
  [
    'colons without end',
    `${' c:c:'.repeat(12_000)}\nx`,
    ': is nested too deeply (write fewer levels, or close every [ and {)',
  ],
  [
    'an alias of nothing',
    'agent: *x\n',
    ':1:8: is an alias of an anchor that does not exist (put text that begins with "*" in quotes, or set the anchor before it)',
  ],
  [
    'an alias before its anchor',
    'agent: *x\nlog: &x {level: info}\n',
    ':1:8: is an alias of an anchor that does not exist (put text that begins with "*" in quotes, or set the anchor before it)',
  ],
  [
    'a tag',
    'agent: !thing {uid: 1}\n',
    ':1:15: has a tag that means nothing here (remove the word that begins with "!")',
  ],
  [
    'a set for a map',
    '!!set {agent}\n',
    ':1:7: has a tag that means nothing here (remove the word that begins with "!")',
  ],
  ['a map as a name', '? {a: 1}\n: 2\n', ':1:3: is no name of a field (write plain text before the ":")'],
  [
    'text alone',
    'hello\n',
    ':1:1: has the wrong type, expected a map of fields (write a map of these fields: sandbox, secretsRoot, providersDir, profilesDir, socket, references, callers, agent, health, metrics, egress, log, audit, boundary, openshell, gatewayDriver)',
  ],
  [
    'two documents',
    'agent: {uid: 1}\n---\nagent: {uid: 2}\n',
    ':3:1: a second document begins here (keep the configuration in one document)',
  ],
  ['nothing', '', ': is empty (write a configuration, or remove the file)'],
  ['comments alone', '# nothing\n', ': is empty (write a configuration, or remove the file)'],
  [
    'more than 1 MiB',
    `# ${'x'.repeat(1024 * 1024)}\n`,
    ': is larger than 1 MiB (split it, or check that it is the right file)',
  ],
  [
    'aliases that multiply',
    `a: &a [1,1,1,1,1,1,1,1]\n${'bcdefgh'
      .split('')
      .map((name, index) => `${name}: &${name} [${Array(8).fill(`*${'abcdefg'[index]}`).join(',')}]\n`)
      .join('')}`,
    ':1:1: follows too many aliases (write the repeated parts out, without & and *)',
  ],
  [
    'an alias of a node that contains it',
    'agent: &x {uid: *x}\n',
    ':1:17: is an alias of a node that contains it (write the repeated part out, without & and *)',
  ],
  [
    'a list of nothing but itself',
    `agent: &x [*x${',*x'.repeat(2_000)}]\n`,
    ':1:12: is an alias of a node that contains it (write the repeated part out, without & and *)',
  ],
  [
    'aliases of lists that hold nothing',
    `agent: &x [&y []${',*y'.repeat(1_000)}]\nlog: [*x${',*x'.repeat(1_000)}]\n`,
    ':1:1: follows too many aliases (write the repeated parts out, without & and *)',
  ],
];
