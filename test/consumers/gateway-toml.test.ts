/** gateway.toml as a gateway at its 0.0.x reads it: each table that it would refuse, or would not ask our driver by. */
import { describe, expect, it } from 'vitest';
import { gatewayFile, judgeGatewayToml } from '../../src/consumers/gateway-driver/gateway-toml.ts';

const TOPOLOGY = '[openshell.drivers.kubernetes]\ntopology = "sidecar"\n';
const NAMED = '[openshell.gateway]\ncredential_drivers = ["msr"]\n';
const HEAD = `${TOPOLOGY}${NAMED}`;
const UDS = 'transport = "uds"\nsocket_path = "/run/x.sock"\n';
const TABLE = '[openshell.credential_drivers.msr]\n';

function judge(text: string) {
  const found: string[] = [];
  const used = judgeGatewayToml(text, (line, field, message) => found.push(`${line} ${field} ${message}`));
  return { found, used };
}

describe('a gateway.toml', () => {
  it.each<[string, string, boolean]>([
    ['the table of the README', `${HEAD}${TABLE}${UDS}`, false],
    ['version 1', `[openshell]\nversion = 1\n${HEAD}${TABLE}${UDS}`, false],
    ['0.1.x, which has no topology', `openshell.version = 2\n${NAMED}${TABLE}${UDS}`, false],
    [
      'spaces around names',
      `${HEAD.replace('"msr"', '" msr "')}${TABLE}${UDS.replace('"uds"', '" uds "')}`,
      false,
    ],
    ['a quoted table', `${HEAD}[openshell."credential_drivers"."msr"]\n${UDS}`, false],
    [
      'a driver that it starts',
      `${HEAD}${TABLE}${UDS}command = "/bin/x"\nargs = ["a"]\nstartup_timeout_secs = 5\n`,
      true,
    ],
    ['no compute driver of Kubernetes', `${NAMED}compute_drivers = ["docker"]\n${TABLE}${UDS}`, false],
    [
      'the driver named twice',
      `${TOPOLOGY}${NAMED.replace('["msr"]', '["msr", "msr"]')}${TABLE}${UDS}`,
      false,
    ],
    ['empty args', `${HEAD}${TABLE}${UDS}args = []\n`, false],
  ])('may have %s', (_, text, launched) => {
    expect(judge(text)).toEqual({ found: [], used: { socketPath: '/run/x.sock', launched } });
  });

  const NOT_STARTED = ', so the gateway does not start';
  const here = 'openshell.credential_drivers.msr';
  it.each<[string, string, string[]]>([
    ['a syntax error', '[openshell\n', ['1  is not valid TOML']],
    [
      'a table outside',
      `${HEAD}${TABLE}${UDS}[credential_drivers.x]\n`,
      [`8 credential_drivers stands outside [openshell]${NOT_STARTED}`],
    ],
    [
      'an unknown table',
      `${HEAD}${TABLE}${UDS}[openshell.extra]\n`,
      ['8 openshell.extra is not a table that the gateway knows, so it does not start'],
    ],
    [
      'another version',
      `[openshell]\nversion = 3\n${HEAD}${TABLE}${UDS}`,
      ['2 openshell.version is not a version of this file'],
    ],
    [
      'no list',
      `${TOPOLOGY}[openshell.gateway]\n${TABLE}${UDS}`,
      [
        '3 openshell.gateway.credential_drivers is missing, so the gateway stores credentials itself and asks no driver',
      ],
    ],
    [
      'an empty list',
      `${HEAD.replace('"msr"', '')}`,
      [`4 openshell.gateway.credential_drivers does not name one driver${NOT_STARTED}`],
    ],
    [
      'two drivers',
      `${HEAD.replace('"msr"', '"msr", "vault"')}`,
      [`4 openshell.gateway.credential_drivers does not name one driver${NOT_STARTED}`],
    ],
    [
      'a text in place of the list',
      `${HEAD.replace('["msr"]', '"msr"')}`,
      [`4 openshell.gateway.credential_drivers does not name one driver${NOT_STARTED}`],
    ],
    [
      "OpenShell's own driver",
      `${HEAD.replace('msr', 'vault')}`,
      [
        "4 openshell.gateway.credential_drivers names a driver of OpenShell's own, so the gateway does not ask the resolver",
      ],
    ],
    [
      'another default',
      `${HEAD}default_credential_driver = "x"\n${TABLE}${UDS}`,
      [
        `5 openshell.gateway.default_credential_driver is not the driver that credential_drivers names${NOT_STARTED}`,
      ],
    ],
    ['no table', HEAD, [`0 ${here} is missing${NOT_STARTED}`]],
    [
      'a table of another name',
      `${HEAD}${TABLE.replace('msr', 'resolver')}${UDS}`,
      ['5 openshell.credential_drivers.resolver is not read: credential_drivers names msr'],
    ],
    [
      'a table of the compute drivers',
      `${HEAD}[openshell.drivers.msr]\n${UDS}`,
      ['5 openshell.drivers.msr is not read: openshell.drivers is for compute drivers'],
    ],
    [
      'no transport',
      `${HEAD}${TABLE}socket_path = "/x"\n`,
      [`5 ${here}.transport is not "uds"${NOT_STARTED}`],
    ],
    [
      'no socket_path',
      `${HEAD}${TABLE}transport = "uds"\n`,
      [`5 ${here}.socket_path is not an absolute path${NOT_STARTED}`],
    ],
    [
      'a relative socket_path',
      `${HEAD}${TABLE}transport = "uds"\nsocket_path = "x"\n`,
      [`7 ${here}.socket_path is not an absolute path${NOT_STARTED}`],
    ],
    [
      'a relative command',
      `${HEAD}${TABLE}${UDS}command = "x"\n`,
      [`8 ${here}.command is not an absolute path${NOT_STARTED}`],
    ],
    [
      'args without command',
      `${HEAD}${TABLE}${UDS}args = ["x"]\n`,
      [`8 ${here}.args needs command${NOT_STARTED}`],
    ],
    [
      'args that are a text',
      `${HEAD}${TABLE}${UDS}command = "/x"\nargs = "x"\n`,
      [`9 ${here}.args is not a list of texts${NOT_STARTED}`],
    ],
    [
      'a timeout without command',
      `${HEAD}${TABLE}${UDS}startup_timeout_secs = 1\n`,
      [`8 ${here}.startup_timeout_secs needs command${NOT_STARTED}`],
    ],
    [
      'a timeout of 0',
      `${HEAD}${TABLE}${UDS}command = "/x"\nstartup_timeout_secs = 0\n`,
      [`9 ${here}.startup_timeout_secs is not a positive whole number${NOT_STARTED}`],
    ],
    [
      'the default topology',
      `${NAMED}${TABLE}${UDS}`,
      [
        '0 openshell.drivers.kubernetes.topology is combined, also where it is not set: supervisor and agent share a container, so nothing keeps the agent from the values',
      ],
    ],
    [
      'a topology that does not exist',
      `${HEAD.replace('sidecar', 'x')}${TABLE}${UDS}`,
      ['2 openshell.drivers.kubernetes.topology is not a topology'],
    ],
  ])('is found to have %s', (_, text, expected) => {
    expect(judge(text).found).toEqual(expected);
  });
});

it('is found in a ConfigMap, in a List, and at its line if it is a block', () => {
  const map = 'kind: ConfigMap\ndata:\n  gateway.toml: |\n    [openshell]\n';
  expect(gatewayFile('c.yaml', map)).toEqual({ file: 'c.yaml', text: '[openshell]\n', firstLine: 4 });
  const list = `kind: List\nitems:\n- {}\n- data: {gateway.toml: "[openshell]"}\n`;
  expect(gatewayFile('<stdin>', list)).toEqual({ file: '<stdin>', text: '[openshell]', firstLine: 0 });
  expect(() => gatewayFile('c.yaml', 'kind: ConfigMap\n')).toThrow('has no ConfigMap with gateway.toml');
});
