import { partOf } from '../../config/config.ts';
import { CredentialDriver } from '../../gen/openshell/credentials/v1/credential_driver_pb.ts';
import type { Consumer } from '../consumer.ts';
import { attempt } from '../self-test.ts';
import { gatewayMethods } from './gateway-driver.ts';
import { configureGateway, gatewaySlot, refuseGatewayOptions } from './settings.ts';

/** A full batch of the longest handles takes 3 MiB, which gateways could not even send; a common one 400 KiB. */
const REQUEST_BYTES = 2 * 1024 * 1024;

export const gatewayDriver: Consumer = {
  name: 'gateway-driver',
  description: "an OpenShell gateway's credential driver, on a socket of its own",
  config: gatewaySlot,
  options: [
    {
      flags: '--gateway-driver',
      description:
        'also answer an OpenShell gateway as its credential driver; needs gatewayDriver in the file',
    },
    {
      flags: '--bind-socket <path>',
      description:
        "the driver's socket, in place of gatewayDriver.socket.path; a gateway appends this option",
    },
  ],
  refuseOptions: refuseGatewayOptions,
  configure: configureGateway,
  selfTest: () => CredentialDriver.methods.map((method) => attempt(method)),
  open: (host) => {
    const settings = partOf(host.config(), gatewaySlot);
    if (settings?.enabled !== true) {
      if (settings !== undefined)
        host.log.warn('gatewayDriver is configured but not served: start with --gateway-driver');
      return undefined;
    }
    const current = () => partOf(host.config(), gatewaySlot) ?? settings;
    return {
      methods: gatewayMethods({ ...host, settings: current }),
      socket: {
        file: () => current().socket,
        callers: () => current().callers,
        limits: {
          requestBytes: REQUEST_BYTES,
          inboundBytesPerUid: 4 * REQUEST_BYTES,
          inboundBytesPerSecond: 4 * REQUEST_BYTES,
        },
      },
    };
  },
};
