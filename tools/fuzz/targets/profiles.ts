/** Any text as OpenShell provider profiles: the linter and the loader, which must agree. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../../src/config/config.ts';
import { lintProfiles } from '../../../src/config/profile/lint.ts';
import { loadConfig } from '../../../src/consumers/load-config.ts';
import { ENVIRONMENT_NAME } from '../../../src/domain/names.ts';
import { ENVIRONMENT } from '../../../test/config/examples.ts';
import { NAMESPACE, Workspace } from '../../../test/support/workspace.ts';
import { checkIssue, loadedOrComplained } from '../config-complaint.ts';
import { Planted, SECRET_WORD } from '../planted.ts';
import { must, type Target } from '../target.ts';
import { MAX_YAML_BYTES, YAML_WORDS } from '../yaml-words.ts';

const FULL = `id: gitlab
display_name: GitLab
description: a
category: other
inference_capable: false
credentials:
  - {name: token, description: a, env_vars: [TOKEN, OTHER], required: true, auth_style: header, header_name: X}
  - {name: query, env_vars: [QUERY], auth_style: query, query_param: t}
  - {name: path, env_vars: [A_PATH], auth_style: path, path_template: "/x{credential}", refresh: {strategy: static}}
  - {name: grant, token_grant: {token_endpoint: "https://sts.example.com/token"}}
endpoints:
  - {host: "*.gitlab.example.com", port: 443, ports: [443, 8443], path: /api/**, protocol: rest, access: full}
  - {host: gitlab.example.com, port: 443, allow_uninspected_credentials: true}
binaries: []
discovery: {credentials: [token]}
`;

/** What a test may replace. */
export interface Subject {
  readonly lint: typeof lintProfiles;
}

export const profiles: Target<Subject> = {
  name: 'profiles',
  covers: [
    'src/config/profile',
    'src/config/yaml-source.ts',
    'src/config/explain.ts',
    'src/config/schema.ts',
  ],
  maxBytes: MAX_YAML_BYTES,
  maxCpuMs: 1_000,
  words: [
    ...YAML_WORDS,
    ...new Set(FULL.match(/[A-Za-z_]{2,}/g)),
    ...[
      'auth_style: bearer',
      'auth_style: basic',
      'auth_style: ""',
      'ports: []',
      'host: "*"',
      'host: a..b',
      'v7_X',
    ],
    ...[
      '{credential}',
      '65536',
      'port: 0',
      `id: ${SECRET_WORD}`,
      `name: ${SECRET_WORD}`,
      `host: ${SECRET_WORD}`,
    ],
  ],
  seeds: [
    FULL,
    `${FULL}---\nid: pypi\ndisplay_name: PyPI\nendpoints:\n  - {host: pypi.org, port: 443}\n`,
    'id: x\ndisplay_name: X\ncredentials: []\n',
    'id: x\ncredentials:\n  - {name: a, env_vars: [T, T]}\n  - {name: a, env_vars: [T], auth_style: magic}\n',
    'id: a--b\ndisplay_name: A\n',
    // Both took minutes.
    `id: a\nx: &a [*a${',*a'.repeat(1_000)}]\n`,
    `id: a\nx: &a [&b []${',*b'.repeat(400)}]\ny: [*a${',*a'.repeat(400)}]\n`,
  ],

  async open({ lint = lintProfiles } = {}) {
    const workspace = new Workspace();
    const { root, configFile } = workspace;
    const planted = new Planted();
    const file = join(root, 'profiles', 'p.yaml');
    workspace.writeProvider('p.yaml', {
      name: 'p',
      type: 'gitlab',
      credentialsFrom: [
        {
          source: { type: 'kubernetesSecret', namespace: NAMESPACE, name: 's' },
          mode: 'providerProfileKeys',
        },
      ],
    });
    return {
      run: (input) => {
        const text = planted.into(input).toString('utf8');
        writeFileSync(file, text);
        const linted = loadedOrComplained(
          () => lint(file, text).flatMap(({ findings }) => findings),
          planted,
          root,
        );
        const findings = 'value' in linted ? linted.value : [];
        for (const { issue } of findings) checkIssue(issue, planted, root);
        const loaded = loadedOrComplained(() => loadConfig(configFile, ENVIRONMENT), planted, root);
        if ('value' in loaded) {
          checkProviders(loaded.value);
          return;
        }
        const complaints = loaded.issues.filter(({ message }) => !BETWEEN_FILES.test(message));
        const errors = findings.filter(({ severity }) => severity === 'error').length;
        must(
          'issues' in linted || errors > 0 || complaints.length === 0,
          'the linter overlooks what loading refuses',
        );
      },
      [Symbol.asyncDispose]: async () => workspace[Symbol.dispose](),
    };
  },
};

/** What only all files together can tell. */
const BETWEEN_FILES = /^(is the id of another profile too|there is no profile .* to take keys from)$/;

function checkProviders({ providers }: Config): void {
  for (const { profileCredentials, endpoints } of providers) {
    const names = profileCredentials.flatMap(({ envVars }) => envVars);
    must(
      names.every((name) => ENVIRONMENT_NAME.test(name)),
      'a profile declares an illegal name',
    );
    must(new Set(names).size === names.length, 'a profile declares a name twice');
    for (const { host, port, path } of endpoints) {
      must(host !== '' && !/[/:{}\s]/.test(host), 'an endpoint has a host that is none');
      must(Number.isInteger(port) && port > 0 && port < 65_536, 'an endpoint has a port that is none');
      must(path === '' || path.startsWith('/'), 'an endpoint has a path that is none');
    }
  }
}
